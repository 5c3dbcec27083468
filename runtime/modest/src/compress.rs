//! Fewer bytes for an update. An encoder reads numbers, writes bytes, and says what the receiver will see; what that
//! lacks is kept and added to the next update (error feedback, Seide et al. 2014; Karimireddy et al. 2019).
//!
//! Numbers are little-endian. All are exact functions of their input: the same bytes on every machine.

use crate::Error;
use crate::aggregate;
use half::f16;
use mote_runtime::random::word;

/// Values that share a scale.
pub const BLOCK: usize = 64;

/// How numbers become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    F32,
    F16,
    /// Of each block the largest magnitude over 127 as f16, then a byte a value.
    Int8,
    /// The same with 2 to 7 bits a value, the lowest first; of another number the nearest of these.
    Bits(u8),
    /// Of each block the mean magnitude as f16, then a bit a value: set where it is negative.
    Sign,
    /// This many of 1000 values, the greatest: the distance from the one before as a varint, the value as f16.
    TopK {
        permille: u16,
    },
    /// So many numbers, f32, each the product with a vector that both sides draw from the seed
    /// ([`projection`]): an unbiased estimate of the update.
    Projection {
        coordinates: u32,
    },
}

impl Codec {
    /// Bytes of `count` values at most.
    pub const fn bytes(self, count: usize) -> usize {
        let blocks = count.div_ceil(BLOCK);
        match self {
            Codec::F32 => 4 * count,
            Codec::F16 => 2 * count,
            Codec::Int8 => count + 2 * blocks,
            Codec::Bits(bits) => (count * width(bits) as usize).div_ceil(8) + 2 * blocks,
            Codec::Sign => count.div_ceil(8) + 2 * blocks,
            Codec::TopK { permille } => {
                // A distance that takes two bytes leaves out 128 values, so there are few of them.
                let kept = top(count, permille);
                let far = if count / 128 < kept { count / 128 } else { kept };
                let farther = if count / 16_384 < kept { count / 16_384 } else { kept };
                3 * kept + far + 3 * farther
            }
            Codec::Projection { coordinates } => 4 * coordinates as usize,
        }
    }

    /// Writes `values` and makes them what the receiver will see; returns the bytes used. `scratch` is memory for as
    /// many numbers ([`Codec::TopK`], [`Codec::Projection`]; others need none).
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::Room`].
    pub fn encode(
        self,
        values: &mut [f32],
        seed: u64,
        scratch: &mut [f32],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        aggregate::finite(values)?;
        let (needed, have) = (self.bytes(values.len()), out.len());
        let mut out = Writer { rest: out, used: 0, room: Error::Room { needed, have } };
        match self {
            Codec::F32 => values.iter().try_for_each(|v| out.put(&v.to_le_bytes()))?,
            Codec::F16 => values.iter_mut().try_for_each(|v| out.half(v))?,
            Codec::Int8 => {
                for block in values.chunks_mut(BLOCK) {
                    let largest = block.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                    let mut scale = largest / 127.0;
                    out.half(&mut scale)?;
                    for value in block {
                        let code = if scale > 0.0 { libm::rintf(*value / scale) } else { 0.0 };
                        let code = code.clamp(-127.0, 127.0) as i8;
                        *value = f32::from(code) * scale;
                        out.put(&code.to_le_bytes())?;
                    }
                }
            }
            Codec::Bits(bits) => {
                let (bits, most) = (width(bits), (1 << (width(bits) - 1)) - 1);
                for block in values.chunks_mut(BLOCK) {
                    let largest = block.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                    let mut scale = largest / most as f32;
                    out.half(&mut scale)?;
                    let (mut held, mut count) = (0u32, 0);
                    for value in block {
                        let code = if scale > 0.0 { libm::rintf(*value / scale) } else { 0.0 };
                        // Not `clamp`, which panics where bounds are crossed, as the compiler thinks they may be.
                        let code = code.max(-most as f32).min(most as f32) as i32;
                        *value = code as f32 * scale;
                        held |= (code as u32 & ((1 << bits) - 1)) << count;
                        count += bits;
                        if count >= 8 {
                            out.put(&[held as u8])?;
                            (held, count) = (held >> 8, count - 8);
                        }
                    }
                    if count > 0 {
                        out.put(&[held as u8])?;
                    }
                }
            }
            Codec::Sign => {
                for block in values.chunks_mut(BLOCK) {
                    let mut scale = block.iter().map(|v| v.abs()).sum::<f32>() / block.len() as f32;
                    out.half(&mut scale)?;
                    for eight in block.chunks_mut(8) {
                        let mut bits = 0u8;
                        for (bit, value) in eight.iter_mut().enumerate() {
                            let negative = value.is_sign_negative();
                            bits |= u8::from(negative) << bit;
                            *value = if negative { -scale } else { scale };
                        }
                        out.put(&[bits])?;
                    }
                }
            }
            Codec::TopK { permille } => {
                aggregate::trim(values, top(values.len(), permille), scratch)?;
                let mut next = 0;
                for (place, value) in values.iter_mut().enumerate().filter(|(_, v)| **v != 0.0) {
                    out.varint(place - next)?;
                    out.half(value)?;
                    next = place + 1;
                }
            }
            Codec::Projection { coordinates } => {
                let (count, have) = (values.len(), scratch.len());
                let copy = scratch.get_mut(..count).ok_or(Error::Room { needed: count, have })?;
                copy.copy_from_slice(values);
                values.fill(0.0);
                for coordinate in 0..coordinates {
                    let product = copy.iter().zip(projection(seed, coordinate));
                    let product = product.map(|(v, p)| f64::from(*v) * f64::from(p)).sum::<f64>() as f32;
                    out.put(&product.to_le_bytes())?;
                    add_projection(values, seed, coordinate, coordinates, product);
                }
            }
        }
        Ok(out.used)
    }

    /// Reads what [`Codec::encode`] wrote with the same seed.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::NotFinite`].
    pub fn decode(self, bytes: &[u8], seed: u64, values: &mut [f32]) -> Result<(), Error> {
        let mut bytes = Reader(bytes);
        match self {
            Codec::F32 => {
                for value in values.iter_mut() {
                    *value = f32::from_le_bytes(bytes.take()?);
                }
            }
            Codec::F16 => {
                for value in values.iter_mut() {
                    *value = bytes.half()?;
                }
            }
            Codec::Int8 => {
                for block in values.chunks_mut(BLOCK) {
                    let scale = bytes.half()?;
                    for value in block {
                        *value = f32::from(i8::from_le_bytes(bytes.take()?)) * scale;
                    }
                }
            }
            Codec::Bits(bits) => {
                let bits = width(bits);
                for block in values.chunks_mut(BLOCK) {
                    let scale = bytes.half()?;
                    let (mut held, mut count) = (0u32, 0);
                    for value in block {
                        if count < bits {
                            let [byte] = bytes.take()?;
                            held |= u32::from(byte) << count;
                            count += 8;
                        }
                        // The code's sign is its highest bit.
                        let code = (held << (32 - bits)) as i32 >> (32 - bits);
                        *value = code as f32 * scale;
                        (held, count) = (held >> bits, count - bits);
                    }
                }
            }
            Codec::Sign => {
                for block in values.chunks_mut(BLOCK) {
                    let scale = bytes.half()?;
                    for eight in block.chunks_mut(8) {
                        let [bits] = bytes.take()?;
                        for (bit, value) in eight.iter_mut().enumerate() {
                            *value = if bits >> bit & 1 == 1 { -scale } else { scale };
                        }
                    }
                }
            }
            Codec::TopK { permille } => {
                values.fill(0.0);
                let (mut next, mut left) = (0usize, top(values.len(), permille));
                while !bytes.0.is_empty() && left > 0 {
                    let place = next.checked_add(bytes.varint()?).ok_or(Error::Malformed)?;
                    let value = bytes.half()?;
                    *values.get_mut(place).ok_or(Error::Malformed)? = value;
                    (next, left) = (place + 1, left - 1);
                }
            }
            Codec::Projection { coordinates } => {
                values.fill(0.0);
                for coordinate in 0..coordinates {
                    let product = f32::from_le_bytes(bytes.take()?);
                    add_projection(values, seed, coordinate, coordinates, product);
                }
            }
        }
        if !bytes.0.is_empty() {
            return Err(Error::Malformed);
        }
        aggregate::finite(values)
    }

    /// Encodes `update` and what earlier ones lacked (`error`, as many numbers): `m = C(x + e)`, `e = x + e - m`.
    /// `update` becomes what the receiver sees. For [`Codec::Projection`] the error would grow without limit, since its
    /// estimate is unbiased but no contraction; it is left alone.
    ///
    /// # Errors
    /// Those of [`Codec::encode`], [`Error::Length`].
    pub fn encode_with_feedback(
        self,
        update: &mut [f32],
        error: &mut [f32],
        seed: u64,
        scratch: &mut [f32],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (expected, found) = (update.len(), error.len());
        if expected != found {
            return Err(Error::Length { expected, found });
        }
        if matches!(self, Codec::Projection { .. }) {
            return self.encode(update, seed, scratch, out);
        }
        aggregate::finite(update)?;
        update.iter_mut().zip(error.iter_mut()).for_each(|(x, e)| {
            *e += *x;
            *x = *e;
        });
        let used = self.encode(update, seed, scratch, out)?;
        error.iter_mut().zip(&*update).for_each(|(e, m)| *e -= m);
        Ok(used)
    }
}

/// The vector of a coordinate: value `i` is word `i` of the stream that word `coordinate` of the seed's stream begins
/// ([`mote_runtime::random::word`]); its upper 16 bits, as a signed number, over 32,768.
pub fn projection(seed: u64, coordinate: u32) -> impl Iterator<Item = f32> {
    let stream = word(seed, u64::from(coordinate));
    (0u64..).map(move |i| f32::from((word(stream, i) >> 48) as u16 as i16) / 32_768.0)
}

/// Values uniform in -1 .. 1 have a variance of a third, so `3 / n` times the sum of all products is unbiased.
fn add_projection(values: &mut [f32], seed: u64, coordinate: u32, coordinates: u32, product: f32) {
    let share = product * (3.0 / coordinates as f32);
    values.iter_mut().zip(projection(seed, coordinate)).for_each(|(v, p)| *v += share * p);
}

/// Bits of a value in [`Codec::Bits`].
const fn width(bits: u8) -> u32 {
    match bits {
        0..=2 => 2,
        3..=6 => bits as u32,
        _ => 7,
    }
}

const fn top(count: usize, permille: u16) -> usize {
    let kept = (count * permille as usize).div_ceil(1000);
    if kept < count { kept } else { count }
}

struct Writer<'a> {
    rest: &'a mut [u8],
    used: usize,
    room: Error,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let to = self.rest.split_off_mut(..bytes.len()).ok_or(self.room)?;
        to.copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }

    /// Rounds to what is written; what is too large becomes the largest there is.
    fn half(&mut self, value: &mut f32) -> Result<(), Error> {
        let half = f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()));
        *value = half.to_f32();
        self.put(&half.to_le_bytes())
    }

    fn varint(&mut self, mut number: usize) -> Result<(), Error> {
        while number >= 128 {
            self.put(&[number as u8 | 128])?;
            number >>= 7;
        }
        self.put(&[number as u8])
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn half(&mut self) -> Result<f32, Error> {
        Ok(f16::from_le_bytes(self.take()?).to_f32())
    }

    fn varint(&mut self) -> Result<usize, Error> {
        let mut number = 0;
        for shift in (0..28).step_by(7) {
            let [byte] = self.take()?;
            number |= usize::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(Error::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_runtime::random::Random;

    const ALL: [Codec; 8] = [
        Codec::F32,
        Codec::F16,
        Codec::Int8,
        Codec::Bits(2),
        Codec::Bits(5),
        Codec::Sign,
        Codec::TopK { permille: 50 },
        Codec::Projection { coordinates: 100 },
    ];

    fn update(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| (0..4).map(|_| random.unit() - 0.5).sum::<f32>() * 0.1).collect()
    }

    fn norm(values: &[f32]) -> f64 {
        aggregate::square_norm(values).sqrt()
    }

    #[test]
    fn the_sender_knows_what_the_receiver_sees() {
        for codec in ALL {
            for count in [1, 7, 64, 65, 500, 20_001] {
                let mut values = update(count, count as u64);
                let (mut scratch, mut bytes) = (vec![0.0; count], vec![0; codec.bytes(count)]);
                let used = codec.encode(&mut values, 9, &mut scratch, &mut bytes).unwrap();
                let mut seen = vec![f32::NAN; count];
                codec.decode(&bytes[..used], 9, &mut seen).unwrap();
                assert_eq!(seen, values, "{codec:?} {count}");
                assert!(codec.decode(&bytes[..used - 1], 9, &mut seen).is_err() || used == 0);
                let short = codec.encode(&mut values, 9, &mut scratch, &mut bytes[..used - 1]);
                assert!(matches!(short, Err(Error::Room { .. })), "{codec:?} {count}");
            }
        }
    }

    #[test]
    fn bytes_as_promised() {
        let count = 85_354;
        let bytes = ALL.map(|codec| codec.bytes(count));
        assert_eq!(bytes, [341_416, 170_708, 88_022, 24_007, 56_015, 13_338, 13_485, 400]);
    }

    #[test]
    fn what_is_lacking_comes_later() {
        for codec in [Codec::Int8, Codec::Bits(3), Codec::Sign, Codec::TopK { permille: 50 }] {
            let (count, rounds) = (500, 400);
            let (mut error, mut sent) = (vec![0.0; count], vec![0.0f32; count]);
            let (mut scratch, mut bytes) = (vec![0.0; count], vec![0; codec.bytes(count)]);
            let same = update(count, 3);
            for _ in 0..rounds {
                let mut values = same.clone();
                codec.encode_with_feedback(&mut values, &mut error, 1, &mut scratch, &mut bytes).unwrap();
                sent.iter_mut().zip(&values).for_each(|(sum, v)| *sum += v);
            }
            let lacking: Vec<f32> = same.iter().zip(&sent).map(|(v, sum)| v - sum / rounds as f32).collect();
            assert!(norm(&lacking) < 0.1 * norm(&same), "{codec:?}: {}", norm(&lacking) / norm(&same));
        }
    }

    #[test]
    fn projections_are_unbiased() {
        let count = 200;
        let same = update(count, 4);
        let (mut scratch, mut bytes) = (vec![0.0; count], [0; 400]);
        let mut mean = vec![0.0f32; count];
        for seed in 0..400 {
            let mut values = same.clone();
            Codec::Projection { coordinates: 100 }
                .encode(&mut values, seed, &mut scratch, &mut bytes)
                .unwrap();
            mean.iter_mut().zip(&values).for_each(|(sum, v)| *sum += v / 400.0);
        }
        let lacking: Vec<f32> = same.iter().zip(&mean).map(|(a, b)| a - b).collect();
        // One estimate is off by sqrt(count / coordinates), 400 of them by a twentieth of that.
        assert!(norm(&lacking) < 0.1 * norm(&same), "{}", norm(&lacking) / norm(&same));
        let first: Vec<f32> = projection(7, 0).take(3).collect();
        let stream = word(7, 0);
        let want = [0, 1, 2].map(|i| ((word(stream, i) >> 48) as i64 as u16 as i16) as f32 / 32_768.0);
        assert_eq!(first, want);
    }

    #[test]
    fn damaged_bytes_end_in_errors() {
        let mut random = Random::new(8);
        for _ in 0..20_000 {
            let codec = ALL[random.below(8) as usize];
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.bits() as u8).collect();
            let mut values = vec![0.0; random.below(100) as usize];
            if codec.decode(&bytes, 1, &mut values).is_ok() {
                assert!(values.iter().all(|v| v.is_finite()));
            }
        }
        assert_eq!(Codec::F16.decode(&[0, 0x7c], 1, &mut [0.0]), Err(Error::NotFinite { at: 0 }));
    }
}
