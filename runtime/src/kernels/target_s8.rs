//! What the int8 kernels of targets take, and what of it does not depend on how a kernel lays out its constants: one
//! record and one check for convolutions, for depthwise ones and for dense layers. Used by target crates; the portable
//! kernels have records of their own, since they know groups and multipliers.

use crate::kernels::StepView;
use crate::kernels::columns::Columns;
use crate::kernels::s8::{arguments, is_clamp, is_code, require};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of a convolution without groups.
    pub struct ConvArgs {
        pub in_channels: u32,
        pub out_channels: u32,
        /// Rows of the kernel: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        /// What else the layout depends on; the kernel says what. 0 where it says nothing.
        pub form: u8,
        /// One of `requantize`; 0 where the kernel's identifier tells it.
        pub rounding: u8,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }

    /// Arguments of a convolution with one output channel for each input channel.
    pub struct DepthwiseArgs {
        pub channels: u32,
        /// Rows of the kernel: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        /// As in [`ConvArgs`].
        pub form: u8,
        /// As in [`ConvArgs`].
        pub rounding: u8,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }

    /// Arguments of a dense layer.
    pub struct DenseArgs {
        pub inputs: u32,
        pub outputs: u32,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        /// As in [`ConvArgs`].
        pub rounding: u8,
        /// As in [`ConvArgs`].
        pub form: u8,
    }
}

impl ConvArgs {
    pub const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }

    /// The arguments of a step: one input, two constants; codes; rows of whole pixels that the columns fit.
    #[inline(always)]
    pub const fn checked(step: &StepView<'_>) -> Result<Self, Fault> {
        let args = arguments!(Self, step);
        if let Err(fault) = layer(step, args.input_zero_point, args.zero_point, args.min, args.max) {
            return Err(fault);
        }
        let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
        require!(inputs > 0 && outputs > 0 && inputs < LIMIT && outputs < LIMIT, Arguments);
        require!(step.row_len(0).is_multiple_of(inputs) && step.row_len(1).is_multiple_of(outputs), Shape);
        require!(args.columns().fits(step.row_len(1) / outputs, step.row_len(0) / inputs), Shape);
        Ok(args)
    }
}

impl DepthwiseArgs {
    pub const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }

    /// As [`ConvArgs::checked`].
    #[inline(always)]
    pub const fn checked(step: &StepView<'_>) -> Result<Self, Fault> {
        let args = arguments!(Self, step);
        if let Err(fault) = layer(step, args.input_zero_point, args.zero_point, args.min, args.max) {
            return Err(fault);
        }
        let channels = args.channels as usize;
        require!(channels > 0 && channels < LIMIT, Arguments);
        require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
        require!(args.columns().fits(step.row_len(1) / channels, step.row_len(0) / channels), Shape);
        Ok(args)
    }
}

impl DenseArgs {
    /// As [`ConvArgs::checked`], but for the lengths of rows: kernels differ in which they take.
    #[inline(always)]
    pub const fn checked(step: &StepView<'_>) -> Result<Self, Fault> {
        let args = arguments!(Self, step);
        if let Err(fault) = layer(step, args.input_zero_point, args.zero_point, args.min, args.max) {
            return Err(fault);
        }
        let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
        require!(inputs > 0 && outputs > 0 && inputs < LIMIT && outputs < LIMIT, Arguments);
        Ok(args)
    }
}

/// More channels than any layer has; sizes that are products of two do not overflow.
const LIMIT: usize = 1 << 24;

#[inline(always)]
const fn layer(
    step: &StepView<'_>,
    input_zero_point: i32,
    zero_point: i32,
    min: i8,
    max: i8,
) -> Result<(), Fault> {
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_clamp(zero_point, min, max) && is_code(input_zero_point), Arguments);
    Ok(())
}

#[cfg(feature = "pack")]
mod pack {
    use super::*;
    use crate::kernels::conv2d_s8::ConvS8;
    use crate::kernels::depthwise_s8::DepthwiseS8;
    use crate::kernels::fully_connected_s8::FullyConnectedS8;

    impl ConvArgs {
        /// Those of a layer, whose groups are not among them; `None` if its clamp is none of codes.
        pub fn of_layer(layer: &ConvS8<'_>) -> Option<Self> {
            let (min, max) = layer.requant.clamp()?;
            Some(Self {
                in_channels: layer.in_channels as u32,
                out_channels: layer.out_channels as u32,
                kernel_rows: layer.kernel_rows as u16,
                kernel_width: layer.kernel_width as u16,
                stride: layer.stride as u16,
                dilation: layer.dilation as u16,
                pad_left: layer.pad_left as i16,
                form: 0,
                rounding: 0,
                input_zero_point: layer.input_zero_point,
                zero_point: layer.requant.zero_point,
                min,
                max,
                reserved: 0,
            })
        }
    }

    impl DepthwiseArgs {
        /// Those of a layer, whose multiplier is not among them; `None` if its clamp is none of codes.
        pub fn of_layer(layer: &DepthwiseS8<'_>) -> Option<Self> {
            let (min, max) = layer.requant.clamp()?;
            Some(Self {
                channels: layer.in_channels as u32,
                kernel_rows: layer.kernel_rows as u16,
                kernel_width: layer.kernel_width as u16,
                stride: layer.stride as u16,
                dilation: layer.dilation as u16,
                pad_left: layer.pad_left as i16,
                form: 0,
                rounding: 0,
                input_zero_point: layer.input_zero_point,
                zero_point: layer.requant.zero_point,
                min,
                max,
                reserved: 0,
            })
        }
    }

    impl DenseArgs {
        /// Those of a layer; `None` if its clamp is none of codes.
        pub fn of_layer(layer: &FullyConnectedS8<'_>) -> Option<Self> {
            let (min, max) = layer.requant.clamp()?;
            Some(Self {
                inputs: layer.inputs as u32,
                outputs: layer.outputs as u32,
                input_zero_point: layer.input_zero_point,
                zero_point: layer.requant.zero_point,
                min,
                max,
                rounding: 0,
                form: 0,
            })
        }
    }
}
