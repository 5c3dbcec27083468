//! CRC-32 (ISO-HDLC, the one of zip and Ethernet).

/// Four bits at a time: 64 bytes of table.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// Bytes from which on larger tables are worth being made: the megabytes of a browser's plan are checked before its engine
/// has compiled anything well.
const LONG: usize = 1 << 14;

/// CRC-32 of `bytes`.
pub const fn crc32(bytes: &[u8]) -> u32 {
    // Microcontrollers have no eight kilobytes of stack to spare.
    if cfg!(target_arch = "arm") || bytes.len() < LONG {
        return !by_halves(u32::MAX, bytes);
    }
    !by_eights(u32::MAX, bytes)
}

const fn by_halves(mut crc: u32, mut bytes: &[u8]) -> u32 {
    while let Some((&byte, rest)) = bytes.split_first() {
        crc ^= byte as u32;
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        bytes = rest;
    }
    crc
}

/// Eight bytes at a time (Kounavis and Berry, "A systematic approach to building high performance software-based CRC
/// generators", 2005): `tables[k]` has what a byte adds that `k` bytes follow.
const fn by_eights(mut crc: u32, mut bytes: &[u8]) -> u32 {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut of_byte = by_halves(0, &[byte as u8]);
        let mut k = 0;
        while k < 8 {
            tables[k][byte] = of_byte;
            of_byte = by_halves(of_byte, &[0]);
            k += 1;
        }
        byte += 1;
    }
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &tables;
    while let Some(([a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk() {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes([*a, *b, *c, *d])).to_le_bytes();
        crc = t7[a as usize] ^ t6[b as usize] ^ t5[c as usize] ^ t4[d as usize];
        crc ^= t3[*e as usize] ^ t2[*f as usize] ^ t1[*g as usize] ^ t0[*h as usize];
        bytes = rest;
    }
    by_halves(crc, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn eights_give_what_halves_give() {
        let bytes: alloc::vec::Vec<u8> =
            (0..LONG as u32 + 13).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
        for len in [0, 1, 7, 8, 9, 15, 16, 1000, LONG - 1, LONG, LONG + 13] {
            assert_eq!(by_eights(u32::MAX, &bytes[..len]), by_halves(u32::MAX, &bytes[..len]), "{len} bytes");
        }
        assert_eq!(crc32(&bytes), !by_halves(u32::MAX, &bytes));
    }
}
