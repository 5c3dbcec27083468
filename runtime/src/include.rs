//! [`include_plan!`](crate::include_plan): a plan checked while the firmware compiles.

/// Bytes at an address that suits a plan.
#[doc(hidden)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Declares a module that holds a plan, its kernels and the sizes of its memory.
///
/// `include_plan!(pub mod kws = "kws.mote");` reads the file at compile time (path relative to the source file, or
/// `concat!(env!("OUT_DIR"), ..)`), refuses to compile if anything in it is wrong, and gives
/// * `kws::PLAN`: the [`Plan`](crate::Plan),
/// * `kws::KERNELS`: the kernels that it calls, and no others,
/// * `kws::ARENA_BYTES` and `kws::STATE_BYTES`,
/// * `kws::ENDLESS`: whether the plan runs frame by frame ([`Engine::step`](crate::Engine::step)),
/// * `kws::INPUT_IS_RING` and `kws::INPUT_SLICE_BYTES`: whether the input is pushed row by row, and how long a row is.
///
/// Kernels come from the portable library, or from another: `include_plan!(mod kws = "kws.mote", from
/// mote_cortex_m::kernels);` names a module with `ENTRIES: &[Entry]` and a `const fn check(id, &StepView)`.
///
/// Where constants are too many for the memory of the code, `, in ".large"` behind that puts the plan's bytes into a
/// section of that name, for the linker script to place.
#[macro_export]
macro_rules! include_plan {
    ($vis:vis mod $name:ident = $path:expr) => {
        $crate::include_plan!($vis mod $name = $path, from $crate::kernels::portable);
    };
    ($vis:vis mod $name:ident = $path:expr, from $library:path) => {
        $crate::include_plan!(@ $vis mod $name = $path, from $library, );
    };
    ($vis:vis mod $name:ident = $path:expr, from $library:path, in $section:literal) => {
        // SAFETY: constants may lie in any memory that is loaded with the image.
        $crate::include_plan!(@ $vis mod $name = $path, from $library, #[unsafe(link_section = $section)]);
    };
    (@ $vis:vis mod $name:ident = $path:expr, from $library:path, $(#[$place:meta])?) => {
        $vis mod $name {
            use $library as library;

            $(#[$place])?
            static BYTES: $crate::Aligned<[u8; include_bytes!($path).len()]> =
                $crate::Aligned(*include_bytes!($path));

            #[allow(long_running_const_eval)]
            /// The plan, checked.
            pub static PLAN: $crate::Plan<'static> = match $crate::Plan::parse(&BYTES.0) {
                Ok(plan) => plan,
                Err(_) => panic!("this plan file is damaged or of another version: convert the model again"),
            };

            const CHECKED: $crate::Plan<'static> = match $crate::Plan::parse_unverified(include_bytes!($path)) {
                Ok(plan) => plan,
                Err(_) => panic!("this plan file is damaged or of another version: convert the model again"),
            };

            // A check of sparse weights looks at each of their steps.
            #[allow(long_running_const_eval)]
            /// The kernels of the plan.
            pub static KERNELS: $crate::kernels::KernelTable<{ CHECKED.kernels() }> = {
                let table = match $crate::kernels::KernelTable::link(&CHECKED, library::ENTRIES) {
                    Ok(table) => table,
                    Err(_) => panic!("this plan calls a kernel that the library does not hold"),
                };
                let mut i = 0;
                while let Some(step) = $crate::kernels::StepView::new(&CHECKED, i) {
                    let id = match step.kernel() {
                        Some(id) => id,
                        None => panic!("a step of this plan has no kernel"),
                    };
                    if library::check(id, &step).is_err() {
                        panic!("a kernel of this plan refuses its arguments: convert the model again");
                    }
                    i += 1;
                }
                table
            };

            /// Bytes of arena that the plan needs.
            pub const ARENA_BYTES: usize = CHECKED.arena_bytes();
            /// Bytes of state that the plan needs.
            pub const STATE_BYTES: usize = CHECKED.state_bytes();
            /// Bytes of input 0 that are delivered at a time: of a row, a frame, or the whole tensor.
            pub const INPUT_SLICE_BYTES: usize = match CHECKED.port_view(0, 0) {
                Some(view) => view.slice_bytes(),
                None => 0,
            };
            /// Bytes of output 0 that are made at a time: of a frame, or the whole tensor.
            pub const OUTPUT_SLICE_BYTES: usize = match CHECKED.port_view(1, 0) {
                Some(view) => view.slice_bytes(),
                None => 0,
            };
            /// Whether the plan runs frame by frame, without end.
            pub const ENDLESS: bool = match CHECKED.region(0) {
                Some(region) => region.kind == $crate::plan::RegionKind::Endless as u8,
                None => false,
            };
            /// Whether input 0 is pushed row by row (or stepped frame by frame) and has no place as a whole.
            pub const INPUT_IS_RING: bool = match CHECKED.port_view(0, 0) {
                Some(view) => view.is_ring(),
                None => false,
            };
        }
    };
}
