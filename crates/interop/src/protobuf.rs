//! Messages of Protocol Buffers as they are written: fields one behind the other, each a key
//! (its number and how its value is laid out) and a value.

/// A message to which fields are added in the order of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Whole numbers; negative ones as their 64 bits.
    pub fn integer(mut self, field: u64, value: i64) -> Self {
        self.key(field, 0);
        self.varint(value.cast_unsigned());
        self
    }

    pub fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes, a text, or the bytes of a message.
    pub fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// One entry of a field for each item.
    pub fn each<T>(
        self,
        items: impl IntoIterator<Item = T>,
        add: impl Fn(Self, T) -> Self,
    ) -> Self {
        items.into_iter().fold(self, add)
    }

    fn key(&mut self, field: u64, layout: u64) {
        self.varint(field << 3 | layout);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Self {
        message.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 150 in field 1 and "testing" in field 2: the examples of the encoding's
    /// documentation. -1 takes ten bytes.
    #[test]
    fn fields_are_laid_out_as_documented() {
        let message = Message::default().integer(1, 150).bytes(2, "testing");
        assert_eq!(message.as_ref(), b"\x08\x96\x01\x12\x07testing");
        let negative = Message::default().integer(1, -1);
        assert_eq!(
            negative.as_ref(),
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
        );
        let float = Message::default().float(2, 1.5);
        assert_eq!(float.as_ref(), [0x15, 0, 0, 0xc0, 0x3f]);
    }
}
