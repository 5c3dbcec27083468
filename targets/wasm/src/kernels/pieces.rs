//! Rows of two inputs and an output, eight elements at a time.

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::s8::{s8, s8_mut};

use super::gemm::filled_up;

/// Calls `f(a, b, to)` for each eight elements of all rows. An input row is as long as the output's, or stored there; or
/// it is one value for each of so many neighbours that it fills the row over and over (`channels`, of input 1).
#[inline(always)]
pub fn each(
    call: Call<'_>,
    channels: Option<usize>,
    f: impl Fn(&[i8; 8], &[i8; 8], &mut [i8; 8]),
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let (a, b) = (given.input(0)?, given.input(1)?);
    output.for_each(|slice, row, to| {
        let a = a.map(|a| a.only(slice, row)).transpose()?.map(s8);
        let b = b.map(|b| b.only(slice, row)).transpose()?.map(s8);
        let to = s8_mut(to);
        let len = channels.unwrap_or(to.len()).max(1);
        let mut at = 0;
        for to in to.chunks_mut(len) {
            let a = a.map(|a| a.get(at..).ok_or(Mismatch)).transpose()?;
            piece(a, b, to, &f)?;
            at += len;
        }
        Ok(())
    })
}

#[inline(always)]
fn piece(
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    to: &mut [i8],
    f: &impl Fn(&[i8; 8], &[i8; 8], &mut [i8; 8]),
) -> Result<(), Mismatch> {
    let (whole, rest) = to.as_chunks_mut::<8>();
    let mut at = 0;
    for to in whole {
        let stored = *to;
        let eight = |x: Option<&[i8]>| match x {
            Some(x) => x.get(at..).and_then(|x| x.first_chunk::<8>()).copied().ok_or(Mismatch),
            None => Ok(stored),
        };
        f(&eight(a)?, &eight(b)?, to);
        at += 8;
    }
    if !rest.is_empty() {
        let stored = filled_up(rest);
        let last = |x: Option<&[i8]>| match x {
            Some(x) => x.get(at..).map(filled_up).ok_or(Mismatch),
            None => Ok(stored),
        };
        let mut codes = [0; 8];
        f(&last(a)?, &last(b)?, &mut codes);
        rest.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
    }
    Ok(())
}
