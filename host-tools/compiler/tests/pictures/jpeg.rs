//! Baseline JPEG, decoded to the very pixels of libjpeg's default ("slow") integer arithmetic.
//!
//! The standard leaves a decoder room in the inverse transform and in how chroma is enlarged, and decoders in Rust use
//! it: none gives the reference's pixels, and other pixels say nothing about kernels. Here: Huffman coding, three
//! components, chroma halved in both directions (4:2:0), no restarts; whatever else is refused. The transform is the
//! one of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with 13 fractional bits.

/// RGB pixels, row by row. `None` if the file is damaged or of another kind.
pub fn decode(file: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut rest = file.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let (&[0xff, marker, high, low], _) = rest.split_first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (segment, behind) = rest.get(4..)?.split_at_checked(length.checked_sub(2)?)?;
        match marker {
            0xdb => decoder.quantization(segment)?,
            0xc4 => decoder.huffman(segment)?,
            0xc0 => decoder.frame(segment)?,
            0xda => return decoder.scan(segment, behind),
            0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
        rest = behind;
    }
}

#[derive(Default)]
struct Decoder {
    quantization: [Vec<i32>; 4],
    /// DC tables, then AC tables.
    huffman: [[Huffman; 4]; 2],
    width: usize,
    height: usize,
    /// Index of each component's quantization table.
    tables: [usize; 3],
}

/// Symbols in the order of their codes; per length, how many there are.
#[derive(Default)]
struct Huffman {
    counts: Vec<u8>,
    symbols: Vec<u8>,
}

/// Position of the i-th coefficient of the file in its 8 x 8 block.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

impl Decoder {
    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&id, rest)) = segment.split_first() {
            let (table, rest) = rest.split_at_checked(64)?;
            *self.quantization.get_mut(usize::from(id))? = table.iter().map(|&q| q.into()).collect();
            segment = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&id, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_at_checked(16)?;
            let total = counts.iter().map(|&n| usize::from(n)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let table = self.huffman.get_mut(usize::from(id >> 4))?.get_mut(usize::from(id & 15))?;
            *table = Huffman { counts: counts.to_vec(), symbols: symbols.to_vec() };
            segment = rest;
        }
        Some(())
    }

    fn frame(&mut self, segment: &[u8]) -> Option<()> {
        let &[8, h1, h0, w1, w0, 3, _, 0x22, y, _, 0x11, cb, _, 0x11, cr] = segment else { return None };
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        self.tables = [y, cb, cr].map(usize::from);
        (self.width > 0 && self.height > 0).then_some(())
    }

    fn scan(&self, segment: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let &[3, _, y, _, cb, _, cr, 0, 63, 0] = segment else { return None };
        let (wide, high) = (self.width.div_ceil(16), self.height.div_ceil(16));
        let mut planes = [Plane::new(2 * wide, 2 * high), Plane::new(wide, high), Plane::new(wide, high)];
        let mut bits = Bits { data, held: 0, count: 0 };
        let mut before = [0; 3];
        for unit in 0..wide * high {
            let (row, column) = (unit / wide, unit % wide);
            for (c, tables) in [y, cb, cr].into_iter().enumerate() {
                let side = if c == 0 { 2 } else { 1 };
                for block in 0..side * side {
                    let coefficients = self.block(&mut bits, c, tables, &mut before[c])?;
                    let (y, x) = (row * side + block / side, column * side + block % side);
                    planes[c].put(y, x, &samples(&coefficients));
                }
            }
        }
        let [luma, cb, cr] = planes;
        let (blue, red) = (cb.enlarged(self.width, self.height), cr.enlarged(self.width, self.height));
        let pixel = |i: usize| {
            let y = luma.at(i / self.width, i % self.width);
            rgb(y, blue[i] - 128, red[i] - 128)
        };
        Some((0..self.width * self.height).flat_map(pixel).collect())
    }

    /// The dequantized coefficients of the next block.
    fn block(
        &self,
        bits: &mut Bits<'_>,
        component: usize,
        tables: u8,
        before: &mut i32,
    ) -> Option<[i32; 64]> {
        let quantization = self.quantization.get(self.tables[component])?;
        let table = |class: usize, id: u8| self.huffman[class].get(usize::from(id));
        let (dc, ac) = (table(0, tables >> 4)?, table(1, tables & 15)?);
        let mut block = [0; 64];
        let length = bits.symbol(dc)?;
        *before += bits.signed(length)?;
        block[0] = *before * quantization.first()?;
        let mut i = 1;
        while i < 64 {
            let symbol = bits.symbol(ac)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => i += 16,
                (_, 0) => break,
                (zeros, length) => {
                    i += usize::from(zeros);
                    block[*ZIGZAG.get(i)?] = bits.signed(length)? * quantization.get(i)?;
                    i += 1;
                }
            }
        }
        Some(block)
    }
}

struct Bits<'a> {
    data: &'a [u8],
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.count == 0 {
            let (&byte, rest) = self.data.split_first()?;
            self.data = if byte == 0xff { rest.strip_prefix(&[0])? } else { rest };
            (self.held, self.count) = (byte.into(), 8);
        }
        self.count -= 1;
        Some(self.held >> self.count & 1)
    }

    fn symbol(&mut self, table: &Huffman) -> Option<u8> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0usize);
        for &count in &table.counts {
            code = code << 1 | self.bit()?;
            if code - first < u32::from(count) {
                return table.symbols.get(index + (code - first) as usize).copied();
            }
            index += usize::from(count);
            first = (first + u32::from(count)) << 1;
        }
        None
    }

    /// A number of so many bits; a leading zero makes it negative.
    fn signed(&mut self, length: u8) -> Option<i32> {
        let mut value = 0;
        for _ in 0..length.min(16) {
            value = value << 1 | self.bit()? as i32;
        }
        let negative = length > 0 && value < 1 << (length - 1);
        Some(if negative { value - (1 << length) + 1 } else { value })
    }
}

/// One component's samples.
struct Plane {
    samples: Vec<u8>,
    width: usize,
}

impl Plane {
    fn new(blocks_wide: usize, blocks_high: usize) -> Self {
        Self { samples: vec![0; blocks_wide * blocks_high * 64], width: 8 * blocks_wide }
    }

    fn at(&self, y: usize, x: usize) -> i32 {
        self.samples[y * self.width + x].into()
    }

    fn put(&mut self, block_row: usize, block_column: usize, block: &[u8; 64]) {
        for (y, row) in block.as_chunks::<8>().0.iter().enumerate() {
            let at = (block_row * 8 + y) * self.width + block_column * 8;
            self.samples[at..at + 8].copy_from_slice(row);
        }
    }

    /// Twice as large: each new sample is three quarters of the nearer and one quarter of the farther old one, in
    /// both directions; ties are rounded up and down by turns along a row.
    fn enlarged(&self, width: usize, height: usize) -> Vec<i32> {
        let (own_width, own_height) = (width.div_ceil(2), height.div_ceil(2));
        let neighbour = |i: usize, len: usize| {
            let step = if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { i / 2 + 1 };
            step.min(len - 1)
        };
        let sample = |y: usize, x: usize| {
            let column = |x: usize| 3 * self.at(y / 2, x) + self.at(neighbour(y, own_height), x);
            (3 * column(x / 2) + column(neighbour(x, own_width)) + if x.is_multiple_of(2) { 8 } else { 7 })
                >> 4
        };
        (0..width * height).map(|i| sample(i / width, i % width)).collect()
    }
}

/// Luma and the two differences of colour, in 16 fractional bits.
fn rgb(y: i32, blue: i32, red: i32) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let r = y + ((91_881 * red + HALF) >> 16);
    let g = y + ((-22_554 * blue - 46_802 * red + HALF) >> 16);
    let b = y + ((116_130 * blue + HALF) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

/// The inverse cosine transform: columns, then rows.
fn samples(coefficients: &[i32; 64]) -> [u8; 64] {
    let mut between = [0; 64];
    for x in 0..8 {
        let column = inverse(std::array::from_fn(|y| coefficients[8 * y + x]), 11);
        (0..8).for_each(|y| between[8 * y + x] = column[y]);
    }
    let mut samples = [0; 64];
    for (row, out) in between.as_chunks::<8>().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        *out = inverse(*row, 18).map(|value| (value + 128).clamp(0, 255) as u8);
    }
    samples
}

/// Eight values at once; the results lose `shift` of their fractional bits.
fn inverse(x: [i32; 8], shift: u32) -> [i32; 8] {
    // Even part.
    let z = (x[2] + x[6]) * 4433;
    let (t2, t3) = (z - x[6] * 15_137, z + x[2] * 6270);
    let (t0, t1) = ((x[0] + x[4]) << 13, (x[0] - x[4]) << 13);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    // Odd part.
    let (a, b, c, d) = (x[7], x[5], x[3], x[1]);
    let z5 = (a + c + b + d) * 9633;
    let (z1, z2) = (-(a + d) * 7373, -(b + c) * 20_995);
    let (z3, z4) = (z5 - (a + c) * 16_069, z5 - (b + d) * 3196);
    let odd = [d * 12_299 + z1 + z4, c * 25_172 + z2 + z3, b * 16_819 + z2 + z4, a * 2446 + z1 + z3];
    let half = 1 << (shift - 1);
    std::array::from_fn(|i| {
        let value = if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] };
        (value + half) >> shift
    })
}
