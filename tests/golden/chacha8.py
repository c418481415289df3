"""First words of the ChaCha8 stream that crates/data/src/rng.rs asserts.

RFC 8439's block function with 8 rounds, zero nonce and counter 0; the key is
four little-endian u64 (seed, domain, iteration, sample). Standard library only.
"""

import struct

MASK = 0xFFFFFFFF


def rotate(value, bits):
    return ((value << bits) | (value >> (32 - bits))) & MASK


def block(key, rounds):
    start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key)) + [0] * 4
    w = start[:]

    def quarter(a, b, c, d):
        for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = (w[x] + w[y]) & MASK
            w[z] = rotate(w[z] ^ w[x], bits)

    for _ in range(rounds // 2):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) & MASK for a, b in zip(w, start)]


# The published first words of ChaCha20 under the zero key.
assert struct.pack("<2I", *block(bytes(32), 20)[:2]).hex() == "76b8e0ada0f13d90"
words = block(struct.pack("<4Q", 7, 1, 1000, 3), 8)
for i in range(2):
    print(hex(words[2 * i] | words[2 * i + 1] << 32))
