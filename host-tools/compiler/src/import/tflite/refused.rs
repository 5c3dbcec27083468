//! Why a node was refused, and what to say about operators that have no translation at all.

use tract_tflite::tflite::BuiltinOperator as B;

/// Reason and nearest alternative; the caller adds the node.
#[derive(Debug)]
pub(super) struct Refused {
    pub reason: String,
    pub instead: Option<String>,
}

impl Refused {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), instead: None }
    }

    pub fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = Some(instead.into());
        self
    }

    /// Puts the name of a tensor before the reason.
    pub fn about(mut self, tensor: &str) -> Self {
        self.reason = format!("`{tensor}`: {}", self.reason);
        self
    }
}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::new(reason))
}

/// What to say about an operator without translation.
pub(super) fn unknown_operator(code: B, custom: Option<&str>) -> Refused {
    let (reason, instead) = match code {
        B::CUSTOM => {
            let name = custom.unwrap_or_default();
            return Refused::new(format!("`{}` is a custom operator", name.get(..80).unwrap_or(name)))
                .instead("convert with built-in operators only, or cut the model before this node");
        }
        B::TRANSPOSE_CONV => {
            ("transposed convolution is not supported", "RESIZE_NEAREST_NEIGHBOR followed by CONV_2D")
        }
        B::CONV_3D | B::CONV_3D_TRANSPOSE => {
            ("convolution over three axes is not supported here", "export the model as ONNX")
        }
        B::IF | B::WHILE | B::CALL => {
            ("control flow is not supported", "convert a model without branches and loops (unroll them)")
        }
        B::LSTM
        | B::RNN
        | B::UNIDIRECTIONAL_SEQUENCE_LSTM
        | B::UNIDIRECTIONAL_SEQUENCE_RNN
        | B::BIDIRECTIONAL_SEQUENCE_LSTM
        | B::BIDIRECTIONAL_SEQUENCE_RNN
        | B::SVDF => ("recurrent layers are not supported", "convolutions over time"),
        B::HASHTABLE
        | B::HASHTABLE_FIND
        | B::HASHTABLE_IMPORT
        | B::HASHTABLE_LOOKUP
        | B::HASHTABLE_SIZE
        | B::EMBEDDING_LOOKUP
        | B::EMBEDDING_LOOKUP_SPARSE => ("look-up by key is not supported", "GATHER with constant indices"),
        B::ARG_MAX | B::ARG_MIN | B::TOPK_V2 => {
            ("picking of the best classes is not supported", "end the model at the scores")
        }
        B::NON_MAX_SUPPRESSION_V4 | B::NON_MAX_SUPPRESSION_V5 => {
            ("box suppression is not supported", "end the model at the raw boxes and scores")
        }
        B::LOG_SOFTMAX => ("log-softmax is not supported", "SOFTMAX, and the logarithm outside of the model"),
        B::BATCH_TO_SPACE_ND | B::SPACE_TO_BATCH_ND => {
            ("moving of space to batches is not supported", "CONV_2D with dilation")
        }
        B::TILE => ("repeating is not supported", "BROADCAST_TO, or CONCATENATION"),
        B::ADD_N => ("a sum of many is not supported", "a chain of ADD"),
        B::REDUCE_MIN => ("the minimum over axes is not supported", "REDUCE_MAX of the negated input"),
        B::L2_NORMALIZATION => {
            ("normalisation to unit length is not supported", "SQUARE, SUM, RSQRT, MUL, or normalise outside")
        }
        B::L2_POOL_2D => ("pooling of squares is not supported", "AVERAGE_POOL_2D"),
        B::FAKE_QUANT => {
            ("training-time quantization is not supported", "convert to int8 with the converter")
        }
        B::GREATER
        | B::GREATER_EQUAL
        | B::LESS
        | B::LESS_EQUAL
        | B::EQUAL
        | B::NOT_EQUAL
        | B::LOGICAL_AND
        | B::LOGICAL_OR
        | B::LOGICAL_NOT
        | B::SELECT
        | B::SELECT_V2
        | B::WHERE => ("comparisons and selection are not supported", "MAXIMUM, MINIMUM and arithmetic"),
        B::FILL | B::RANGE | B::ZEROS_LIKE => {
            ("its operands are not constant", "a model whose shapes are all fixed")
        }
        _ => return Refused::new("this operator is not supported"),
    };
    Refused::new(reason).instead(instead)
}
