//! ONNX models as files: the messages of `onnx.proto` that a network needs, in operator set
//! 18 and IR version 8, which runtimes read since 2022.

use crate::protobuf::Message;

/// Version of the operators.
pub const OPERATOR_SET: i64 = 18;
const IR_VERSION: i64 = 8;

/// The most bytes of a file: the lengths of Protocol Buffers are 32-bit.
pub const MOST_BYTES: usize = i32::MAX as usize;

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The program that made it.
    pub producer: String,
    /// What it computes.
    pub graph: Graph,
    /// What is said of it: names and texts.
    pub metadata: Vec<(String, String)>,
}

/// What is computed: nodes, each after those whose values it reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// The operators.
    pub nodes: Vec<Node>,
    /// Constants, by the names that nodes read them by.
    pub constants: Vec<Constant>,
    /// What is given.
    pub inputs: Vec<Tensor>,
    /// What is asked for.
    pub outputs: Vec<Tensor>,
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in operator set 18.
    pub operator: &'static str,
    /// Names of what it reads; an empty one for what is left out.
    pub inputs: Vec<String>,
    /// Names of what it gives.
    pub outputs: Vec<String>,
    /// Its options.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Integer(i64),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// A 32-bit float.
    Float(f32),
    /// A text.
    Text(&'static str),
}

/// A tensor in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Lengths, outermost first.
    pub shape: Vec<usize>,
    /// Its values in that order.
    pub values: Values,
}

/// Values of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    Floats(Vec<f32>),
    /// 64-bit whole numbers.
    Integers(Vec<i64>),
}

/// A tensor of 32-bit floats that goes into a model or comes out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its lengths, outermost first.
    pub shape: Vec<Length>,
}

/// The length of an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Length {
    /// Always this.
    Fixed(usize),
    /// Any; the same wherever it is called so.
    Any(String),
}

impl Model {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let operators = Message::default().integer(2, OPERATOR_SET);
        let model = Message::default()
            .integer(1, IR_VERSION)
            .bytes(2, &self.producer)
            .bytes(7, self.graph.message())
            .bytes(8, operators);
        let entry =
            |(key, value): &(String, String)| Message::default().bytes(1, key).bytes(2, value);
        (model.each(&self.metadata, |model, pair| model.bytes(14, entry(pair)))).into()
    }
}

impl Graph {
    fn message(&self) -> Message {
        Message::default()
            .each(&self.nodes, |graph, node| graph.bytes(1, node.message()))
            .bytes(2, &self.name)
            .each(&self.constants, |graph, c| graph.bytes(5, c.message()))
            .each(&self.inputs, |graph, t| graph.bytes(11, t.message()))
            .each(&self.outputs, |graph, t| graph.bytes(12, t.message()))
    }
}

impl Node {
    /// Named by its first output, as no other node is.
    fn message(&self) -> Message {
        Message::default()
            .each(&self.inputs, |node, name| node.bytes(1, name))
            .each(&self.outputs, |node, name| node.bytes(2, name))
            .each(self.outputs.first(), |node, name| node.bytes(3, name))
            .bytes(4, self.operator)
            .each(&self.attributes, |node, (name, value)| {
                node.bytes(5, value.message(name))
            })
    }
}

impl Attribute {
    /// The last field is the type: what the value before it is.
    fn message(&self, name: &str) -> Message {
        let named = Message::default().bytes(1, name);
        match self {
            Self::Float(value) => named.float(2, *value).integer(20, 1),
            Self::Integer(value) => named.integer(3, *value).integer(20, 2),
            Self::Text(value) => named.bytes(4, value).integer(20, 3),
            Self::Integers(values) => named
                .each(values, |message, value| message.integer(8, *value))
                .integer(20, 7),
        }
    }
}

impl Constant {
    fn message(&self) -> Message {
        let (kind, raw) = match &self.values {
            Values::Floats(values) => (1, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Values::Integers(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (7, bytes)
            }
        };
        Message::default()
            .each(&self.shape, |tensor, n| tensor.integer(1, *n as i64))
            .integer(2, kind)
            .bytes(8, &self.name)
            .bytes(9, raw)
    }
}

impl Tensor {
    fn message(&self) -> Message {
        let length = |length: &Length| match length {
            Length::Fixed(n) => Message::default().integer(1, *n as i64),
            Length::Any(name) => Message::default().bytes(2, name),
        };
        let shape = Message::default().each(&self.shape, |shape, n| shape.bytes(1, length(n)));
        let floats = Message::default().integer(1, 1).bytes(2, shape);
        let kind = Message::default().bytes(1, floats);
        Message::default().bytes(1, &self.name).bytes(2, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a model `y = LeakyRelu(x)` of one axis, laid out by hand from
    /// `onnx.proto`: each line a field, its key `number * 8 + layout` first.
    #[test]
    fn a_model_has_the_bytes_of_the_format() {
        let tensor = |name: &str, length| Tensor {
            name: name.to_owned(),
            shape: vec![length],
        };
        let model = Model {
            producer: "p".to_owned(),
            graph: Graph {
                name: "g".to_owned(),
                nodes: vec![Node {
                    operator: "LeakyRelu",
                    inputs: vec!["x".to_owned()],
                    outputs: vec!["y".to_owned()],
                    attributes: vec![("alpha", Attribute::Float(1.0))],
                }],
                constants: vec![Constant {
                    name: "c".to_owned(),
                    shape: vec![1],
                    values: Values::Integers(vec![-1]),
                }],
                inputs: vec![tensor("x", Length::Any("n".to_owned()))],
                outputs: vec![tensor("y", Length::Fixed(300))],
            },
            metadata: vec![("k".to_owned(), "v".to_owned())],
        };
        let expected: Vec<u8> = [
            &b"\x08\x08"[..],               // 1 IR version 8
            b"\x12\x01p",                   // 2 producer
            b"\x3a\x61",                    // 7 graph of 97 bytes
            b"\x0a\x25",                    // . 1 node of 37 bytes
            b"\x0a\x01x\x12\x01y\x1a\x01y", // . . 1 input, 2 output, 3 name
            b"\x22\x09LeakyRelu",           // . . 4 operator
            b"\x2a\x0f",                    // . . 5 attribute of 15 bytes
        ]
        .concat();
        let bytes = model.to_bytes();
        assert_eq!(bytes[..expected.len()], expected);
        let behind: Vec<u8> = [
            &b"\x0a\x05alpha\x15\x00\x00\x80\x3f\xa0\x01\x01"[..], // 1 name, 2 f, 20 type
            b"\x12\x01g",                                          // . 2 name
            b"\x2a\x11",                                           // . 5 constant of 17 bytes
            b"\x08\x01\x10\x07\x42\x01c",                          // . . 1 dims, 2 type, 8 name
            b"\x4a\x08\xff\xff\xff\xff\xff\xff\xff\xff",           // . . 9 raw
            b"\x5a\x10\x0a\x01x\x12\x0b",                          // . 11 input, its 1 name, 2 type
            b"\x0a\x09\x08\x01\x12\x05\x0a\x03\x12\x01n",          // . . 1 tensor: float, a length
            b"\x62\x10\x0a\x01y\x12\x0b",                          // . 12 output
            b"\x0a\x09\x08\x01\x12\x05\x0a\x03\x08\xac\x02",       // . . 300 is ac 02
            b"\x42\x02\x10\x12",                                   // 8 operator set 18
            b"\x72\x06\x0a\x01k\x12\x01v",                         // 14 metadata
        ]
        .concat();
        assert_eq!(bytes[expected.len()..], behind);
    }
}
