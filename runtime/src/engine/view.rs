//! Typed access to inputs and outputs, as integers or as real numbers.

use super::Error;
use crate::plan::{DType, Plan, PortRecord, QuantRecord, Space, TensorRecord};

/// What the elements of an input or output are, without the elements.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    record: TensorRecord,
    quant: Option<QuantRecord>,
    /// Bytes of what is delivered at a time: a row or frame, or the whole tensor.
    slice_bytes: usize,
}

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    bytes: &'a [u8],
    format: Format,
}

/// A tensor to write.
#[derive(Debug)]
pub struct TensorMut<'a> {
    bytes: &'a mut [u8],
    format: Format,
}

impl Format {
    /// Element type.
    pub fn dtype(&self) -> DType {
        DType::from_code(self.record.dtype).unwrap_or(DType::U8)
    }

    /// Shape, as in the original network.
    pub fn shape(&self) -> &[u32] {
        self.record.shape.get(..self.record.rank.into()).unwrap_or(&[])
    }

    /// Scale and zero point of quantized elements.
    pub fn quant(&self) -> Option<(f32, i32)> {
        self.quant.map(|q| (q.scale, q.zero_point))
    }

    /// Number of elements of the whole tensor.
    pub fn len(&self) -> usize {
        self.bytes() / self.dtype().size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the whole tensor.
    pub fn bytes(&self) -> usize {
        shape_bytes(&self.record).unwrap_or(0)
    }

    /// Bytes of one slice of an input that is pushed row by row or stepped frame by frame; else of the whole tensor.
    pub fn slice_bytes(&self) -> usize {
        self.slice_bytes
    }

    /// Writes a real number as one element: quantized to nearest (ties to even) with saturation. `None` if `element`
    /// is not as long as an element.
    pub fn encode(&self, value: f32, element: &mut [u8]) -> Option<()> {
        let (scale, zero) = self.quant().unwrap_or((1.0, 0));
        let code = |low: f32, high: f32| (libm::rintf(value / scale) + zero as f32).clamp(low, high);
        let bytes = match self.dtype() {
            DType::F32 => value.to_le_bytes(),
            DType::F16 => widened(half::f16::from_f32(value).to_le_bytes()),
            DType::I8 => widened((code(-128.0, 127.0) as i8).to_le_bytes()),
            DType::U8 => widened((code(0.0, 255.0) as u8).to_le_bytes()),
            DType::I16 => widened((code(-32768.0, 32767.0) as i16).to_le_bytes()),
            DType::I32 => (code(-2147483648.0, 2147483520.0) as i32).to_le_bytes(),
        };
        if element.len() != self.dtype().size() {
            return None;
        }
        element.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Some(())
    }
}

fn widened<const N: usize>(bytes: [u8; N]) -> [u8; 4] {
    let mut wide = [0; 4];
    wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    wide
}

macro_rules! describe {
    () => {
        /// What the elements are.
        pub fn format(&self) -> &Format {
            &self.format
        }

        /// Element type.
        pub fn dtype(&self) -> DType {
            self.format.dtype()
        }

        /// Shape, as in the original network.
        pub fn shape(&self) -> &[u32] {
            self.format.shape()
        }

        /// Scale and zero point of quantized elements.
        pub fn quant(&self) -> Option<(f32, i32)> {
            self.format.quant()
        }

        /// Number of elements.
        pub fn len(&self) -> usize {
            self.bytes.len() / self.dtype().size()
        }

        /// Whether there are no elements.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    };
}

impl<'a> TensorView<'a> {
    describe!();

    /// The elements' bytes, little-endian.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn as_i8(&self) -> Result<&'a [i8], Error> {
        self.cast(DType::I8)
    }

    pub fn as_i32(&self) -> Result<&'a [i32], Error> {
        self.cast(DType::I32)
    }

    pub fn as_f32(&self) -> Result<&'a [f32], Error> {
        self.cast(DType::F32)
    }

    /// Element `index` as a real number (dequantized); `None` beyond the end.
    pub fn real(&self, index: usize) -> Option<f32> {
        let size = self.dtype().size();
        let element = self.bytes.get(index * size..(index + 1) * size)?;
        let (scale, zero) = self.quant().unwrap_or((1.0, 0));
        let code = match (self.dtype(), element) {
            (DType::F32, &[a, b, c, d]) => return Some(f32::from_le_bytes([a, b, c, d])),
            (DType::F16, &[a, b]) => return Some(half::f16::from_le_bytes([a, b]).to_f32()),
            (DType::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
            (DType::I16, &[a, b]) => i16::from_le_bytes([a, b]).into(),
            (DType::I8, &[a]) => (a as i8).into(),
            (DType::U8, &[a]) => a.into(),
            _ => return None,
        };
        Some(scale * (code.wrapping_sub(zero)) as f32)
    }

    /// All elements as real numbers.
    pub fn reals(self) -> impl Iterator<Item = f32> + 'a {
        (0..self.len()).map_while(move |i| self.real(i))
    }

    fn cast<T: bytemuck::AnyBitPattern>(&self, dtype: DType) -> Result<&'a [T], Error> {
        if self.dtype() != dtype {
            return Err(Error::Type);
        }
        bytemuck::try_cast_slice(self.bytes).map_err(|_| Error::Type)
    }
}

impl TensorMut<'_> {
    describe!();

    /// The elements' bytes, little-endian.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    pub fn as_i8_mut(&mut self) -> Result<&mut [i8], Error> {
        self.cast(DType::I8)
    }

    pub fn as_f32_mut(&mut self) -> Result<&mut [f32], Error> {
        self.cast(DType::F32)
    }

    /// Copies bytes as the plan has them.
    pub fn copy_from(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (needed, given) = (self.bytes.len(), bytes.len());
        if needed != given {
            return Err(Error::Length { needed, given });
        }
        self.bytes.copy_from_slice(bytes);
        Ok(())
    }

    /// Sets element `index` from a real number, as [`Format::encode`] does.
    pub fn set_real(&mut self, index: usize, value: f32) -> Result<(), Error> {
        let (size, needed, format) = (self.dtype().size(), self.len(), self.format);
        let element = self.bytes.get_mut(index * size..(index + 1) * size);
        element
            .and_then(|element| format.encode(value, element))
            .ok_or(Error::Length { needed, given: index })
    }

    fn cast<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(
        &mut self,
        dtype: DType,
    ) -> Result<&mut [T], Error> {
        if self.dtype() != dtype {
            return Err(Error::Type);
        }
        bytemuck::try_cast_slice_mut(self.bytes).map_err(|_| Error::Type)
    }
}

/// What goes through a port.
pub(super) fn format(plan: &Plan<'_>, port: &PortRecord) -> Option<Format> {
    let operand = plan.operand(port.operand.into())?;
    let record = plan.tensor(operand.tensor.into())?;
    Some(Format { record, quant: plan.quant(record.quant.into()), slice_bytes: operand.slice_bytes() })
}

pub(super) fn readable<'m>(
    plan: &Plan<'_>,
    port: &PortRecord,
    arena: &'m [u8],
    state: &'m [u8],
) -> Option<TensorView<'m>> {
    let operand = plan.operand(port.operand.into())?;
    let format = format(plan, port)?;
    let bytes = memory(plan, operand.tensor, arena, state)?;
    Some(TensorView { bytes: whole(bytes, &format.record)?, format })
}

/// `None` for a tensor that is not there as a whole.
pub(super) fn writable<'m>(
    plan: &Plan<'_>,
    port: &PortRecord,
    arena: &'m mut [u8],
    state: &'m mut [u8],
) -> Option<TensorMut<'m>> {
    let operand = plan.operand(port.operand.into())?;
    let format = format(plan, port)?;
    let bytes = memory_mut(plan, operand.tensor, arena, state)?;
    Some(TensorMut { bytes: bytes.get_mut(..format.bytes())?, format })
}

/// The bytes of the shape; all there are for a ring, which holds less.
fn whole<'m>(bytes: &'m [u8], record: &TensorRecord) -> Option<&'m [u8]> {
    bytes.get(..shape_bytes(record)?.min(bytes.len()))
}

fn shape_bytes(record: &TensorRecord) -> Option<usize> {
    let size = DType::from_code(record.dtype)?.size();
    record.shape.iter().try_fold(size, |product, &axis| product.checked_mul(axis as usize))
}

/// Memory of a tensor.
pub(super) fn memory<'m>(plan: &Plan<'_>, tensor: u16, arena: &'m [u8], state: &'m [u8]) -> Option<&'m [u8]> {
    let record = plan.tensor(tensor.into())?;
    let space = match Space::from_code(record.space)? {
        Space::Arena => arena,
        Space::State => state,
        Space::Constant => return None,
    };
    space.get(record.offset as usize..)?.get(..record.bytes as usize)
}

/// Memory of a tensor, to write.
pub(super) fn memory_mut<'m>(
    plan: &Plan<'_>,
    tensor: u16,
    arena: &'m mut [u8],
    state: &'m mut [u8],
) -> Option<&'m mut [u8]> {
    let record = plan.tensor(tensor.into())?;
    let space = match Space::from_code(record.space)? {
        Space::Arena => arena,
        Space::State => state,
        Space::Constant => return None,
    };
    space.get_mut(record.offset as usize..)?.get_mut(..record.bytes as usize)
}
