//! Typed access to inputs and outputs, as integers or as real numbers.

use super::Error;
use crate::plan::{DType, Plan, PortRecord, QuantRecord, Space, TensorRecord};

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    bytes: &'a [u8],
    record: TensorRecord,
    quant: Option<QuantRecord>,
}

/// A tensor to write.
#[derive(Debug)]
pub struct TensorMut<'a> {
    bytes: &'a mut [u8],
    record: TensorRecord,
    quant: Option<QuantRecord>,
}

macro_rules! describe {
    () => {
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

        /// Number of elements.
        pub fn len(&self) -> usize {
            self.bytes.len() / self.dtype().size()
        }

        /// Whether there are no elements.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        fn scale_and_zero(&self) -> (f32, i32) {
            self.quant().unwrap_or((1.0, 0))
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
        let (scale, zero) = self.scale_and_zero();
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

    /// Sets element `index` from a real number, quantized to nearest (ties to even) with saturation.
    pub fn set_real(&mut self, index: usize, value: f32) -> Result<(), Error> {
        let dtype = self.dtype();
        let (scale, zero) = self.scale_and_zero();
        let size = dtype.size();
        let needed = self.len();
        let element = self.bytes.get_mut(index * size..(index + 1) * size);
        let element = element.ok_or(Error::Length { needed, given: index })?;
        let code = |low: f32, high: f32| (libm::rintf(value / scale) + zero as f32).clamp(low, high);
        match dtype {
            DType::F32 => element.copy_from_slice(&value.to_le_bytes()),
            DType::F16 => element.copy_from_slice(&half::f16::from_f32(value).to_le_bytes()),
            DType::I8 => element.copy_from_slice(&(code(-128.0, 127.0) as i8).to_le_bytes()),
            DType::U8 => element.copy_from_slice(&(code(0.0, 255.0) as u8).to_le_bytes()),
            DType::I16 => element.copy_from_slice(&(code(-32768.0, 32767.0) as i16).to_le_bytes()),
            DType::I32 => element.copy_from_slice(&(code(-2147483648.0, 2147483520.0) as i32).to_le_bytes()),
        }
        Ok(())
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

pub(super) fn readable<'m>(
    plan: &Plan<'_>,
    port: &PortRecord,
    arena: &'m [u8],
    state: &'m [u8],
) -> Option<TensorView<'m>> {
    let operand = plan.operand(port.operand.into())?;
    let record = plan.tensor(operand.tensor.into())?;
    let bytes = memory(plan, operand.tensor, arena, state)?;
    Some(TensorView { bytes: whole(bytes, &record)?, record, quant: plan.quant(record.quant.into()) })
}

pub(super) fn writable<'m>(
    plan: &Plan<'_>,
    port: &PortRecord,
    arena: &'m mut [u8],
    state: &'m mut [u8],
) -> Option<TensorMut<'m>> {
    let operand = plan.operand(port.operand.into())?;
    let record = plan.tensor(operand.tensor.into())?;
    let needed = shape_bytes(&record)?;
    let bytes = memory_mut(plan, operand.tensor, arena, state)?;
    let needed = needed.min(bytes.len());
    Some(TensorMut { bytes: bytes.get_mut(..needed)?, record, quant: plan.quant(record.quant.into()) })
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
