//! Attention: queries row by row against all keys and values.

use super::quantized::requant_of;
use super::{Context, Refused};
use crate::graph::{Attention, DType, Op, TensorId};
use mote_runtime::kernels::attention::AttentionShape;
use mote_runtime::kernels::attention_f32::AttentionF32;
use mote_runtime::kernels::attention_s8::AttentionS8;

pub(super) fn attention(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Attention(attention) = cx.node.op else { return Err("not an attention".into()) };
    let (q, k, v, output) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, cx.output()?);
    let Attention { scale, query, key, value, .. } = attention;
    let shape = shape(cx, &attention, [q, k, v])?;
    let bias = match cx.node.inputs.get(3) {
        None => Vec::new(),
        Some(&id) => {
            let data = cx.graph.tensor(id).data.as_ref();
            data.ok_or("the bias of its scores is computed at run time")?.to_f32()
        }
    };
    let packed = match cx.dtype(output) {
        DType::F32 => AttentionF32 { shape, scale, bias: &bias }.pack(),
        DType::I8 => {
            let ((s_q, zero_query), (s_k, _)) = (cx.quant(q)?, cx.quant(k)?);
            let ((s_v, zero_value), (s_out, _)) = (cx.quant(v)?, cx.quant(output)?);
            let unit = f64::from(scale) * f64::from(s_q) * f64::from(s_k);
            let requant = requant_of(cx, vec![f64::from(s_v) / f64::from(s_out)], output)?;
            let attention = AttentionS8 { shape, unit, zero_query, zero_value, bias: &bias, requant };
            cx.choices.packer.attention_s8(&attention)
        }
        other => return Err(format!("no attention on {other:?}")),
    };
    // Rows hold whole vectors; every query meets all keys and values.
    let all = |id, length| cx.vectors(id, length).all_rows().all_slices();
    let (keys, values) = (all(k, shape.key_length as usize), all(v, shape.value_length as usize));
    let (queries, to) = (cx.vectors(q, shape.query_length as usize), cx.spatial(output));
    // All frames ask for one window: so many vectors in one row of the result.
    let queries = if queries.view.slices > to.view.slices { queries.all_slices() } else { queries };
    debug_assert_eq!(query.depth, key.depth);
    let count = cx.graph.tensor(q).len() as u64 / u64::from(shape.query_length);
    let macs = count * shape.scores() * (query.depth + value.depth) as u64;
    cx.push(macs, packed, vec![queries, keys, values], to, vec![false; 3]);
    Ok(())
}

fn shape(
    cx: &Context<'_>,
    attention: &Attention,
    operands: [TensorId; 3],
) -> Result<AttentionShape, Refused> {
    let [query_length, key_length, value_length] =
        operands.map(|id| cx.shape(id).last().copied().unwrap_or(1).max(1));
    let keys = cx.graph.tensor(operands[1]).len() / key_length;
    let Attention { heads, query, key, value, .. } = *attention;
    if keys > 1 << 16 {
        return Err(format!("attention over {keys} keys; at most 65536"));
    }
    Ok(AttentionShape {
        heads: heads as u32,
        keys: keys as u32,
        query_length: query_length as u32,
        query_offset: query.offset as u32,
        query_stride: query.stride as u32,
        key_length: key_length as u32,
        key_offset: key.offset as u32,
        key_stride: key.stride as u32,
        value_length: value_length as u32,
        value_offset: value.offset as u32,
        value_stride: value.stride as u32,
        depth: query.depth as u32,
        value_depth: value.depth as u32,
    })
}
