//! Fixed-width little-endian records: one declaration gives the struct, its size, its reader (a `const fn`) and
//! its writer (host only).

/// Declares records. Field types: `u8`, `u16`, `u32`, `i8`, `i16`, `i32`, `f32`, `[u32; 6]`.
#[macro_export]
macro_rules! records {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $kind:tt,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }

        impl $name {
            /// Bytes of one record.
            pub const SIZE: usize = 0 $(+ $crate::record_size!($kind))*;

            /// Reads the record that starts at byte `at`; `None` if it does not fit.
            // Inlined everywhere: a caller that asks for one field loads one field.
            #[inline(always)]
            pub const fn read(bytes: &[u8], at: usize) -> Option<Self> {
                let Some((_, rest)) = bytes.split_at_checked(at) else { return None };
                let Some(chunk) = rest.first_chunk::<{ Self::SIZE }>() else { return None };
                Some(Self::of(chunk))
            }

            /// Reads the record in these bytes.
            #[allow(unused_assignments)]
            #[inline(always)]
            pub const fn of(bytes: &[u8; Self::SIZE]) -> Self {
                let mut o = 0;
                $(let $field = { let v = $crate::record_read!(bytes, o, $kind); o += $crate::record_size!($kind); v };)*
                Self { $($field,)* }
            }

            /// Appends the record.
            #[cfg(feature = "pack")]
            pub fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::record_write!(out, self.$field, $kind);)*
            }

            /// The record's bytes.
            #[cfg(feature = "pack")]
            pub fn to_bytes(&self) -> alloc::vec::Vec<u8> {
                let mut out = alloc::vec::Vec::with_capacity(Self::SIZE);
                self.write(&mut out);
                out
            }
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! record_size {
    ([$kind:tt; $n:literal]) => {
        $n * $crate::record_size!($kind)
    };
    ($kind:tt) => {
        core::mem::size_of::<$kind>()
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! record_read {
    ($c:ident, $o:ident, u8) => {
        $c[$o]
    };
    ($c:ident, $o:ident, i8) => {
        $c[$o] as i8
    };
    ($c:ident, $o:ident, u16) => {
        u16::from_le_bytes($crate::record_bytes!($c, $o))
    };
    ($c:ident, $o:ident, i16) => {
        i16::from_le_bytes($crate::record_bytes!($c, $o))
    };
    ($c:ident, $o:ident, u32) => {
        u32::from_le_bytes($crate::record_bytes!($c, $o))
    };
    ($c:ident, $o:ident, i32) => {
        i32::from_le_bytes($crate::record_bytes!($c, $o))
    };
    ($c:ident, $o:ident, f32) => {
        f32::from_bits($crate::record_read!($c, $o, u32))
    };
    ($c:ident, $o:ident, [u32; 6]) => {{
        let mut v = [0u32; 6];
        let mut i = 0;
        while i < 6 {
            let at = $o + 4 * i;
            v[i] = $crate::record_read!($c, at, u32);
            i += 1;
        }
        v
    }};
}

/// The bytes of a number, as one load: put together from single bytes, they are often loaded one by one.
#[doc(hidden)]
#[macro_export]
macro_rules! record_bytes {
    ($c:ident, $o:ident) => {
        match $c.split_at_checked($o) {
            Some((_, rest)) => match rest.first_chunk() {
                Some(bytes) => *bytes,
                None => unreachable!(),
            },
            None => unreachable!(),
        }
    };
}

#[cfg(feature = "pack")]
#[doc(hidden)]
#[macro_export]
macro_rules! record_write {
    ($out:ident, $value:expr, [$kind:tt; $n:literal]) => {
        for v in $value {
            $out.extend_from_slice(&v.to_le_bytes());
        }
    };
    ($out:ident, $value:expr, $kind:tt) => {
        $out.extend_from_slice(&$value.to_le_bytes())
    };
}
