"""Privacy amplification by carry-less multiplication (x86's PCLMULQDQ), compiled by numba: exact, and without an FFT.

64 bits of the input meet 64 of the seed in one instruction. A Toeplitz matrix times a vector is split in four quarters
and costs three products of half the size (Karatsuba & Ofman 1962; for Toeplitz matrices Fan & Hasan 2007, IEEE Trans.
Computers 56, 224), down to some 20 words, where the plain sum is as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from llvmlite import binding, ir
from numba.core import config, types
from numba.extending import intrinsic

from tokaido.emulators.fast import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_SMALLEST: Final = 12
_LARGEST: Final = 24
"""Words of a matrix that is not split further."""
_BANDS: Final = 4


def supported() -> bool:
    """Return whether this processor has the instruction."""
    chosen = getattr(config, "CPU_NAME", None) or getattr(config, "CPU_FEATURES", None)  # numba compiles for another
    return not chosen and bool(binding.get_host_cpu_features().get("pclmul"))


def toeplitz(bits: NDArray[np.uint8], seed: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return uint8[length], the product of T with the first k = n - length of the uint8[n] `bits`, as `toeplitz_hash`.

    Bit i of the result is the sum of seed[i + k - 1 - j] bits[j] over j: a piece of the product of two polynomials.
    """
    columns = bits.size - length
    rows_in_words, columns_in_words = -(-length // 64), -(-columns // 64)
    size = _tile(rows_in_words, columns_in_words)
    rows = -(-rows_in_words // size) * size
    width = -(-columns_in_words // size) * size
    vector = _words(bits[:columns], 0, width)[::-1].copy()
    band = _words(seed, 64 * width - columns + 1, rows + width)
    out = np.zeros(rows, np.uint64)
    _multiply(band, vector, out, size, np.empty(8 * size, np.uint64))
    return np.unpackbits(out.view(np.uint8), count=length, bitorder="little")


def _words(bits: NDArray[np.uint8], offset: int, size: int) -> Words:
    """Return `size` little-endian words with `bits` from bit `offset` on; bits beyond the last word are left away."""
    whole, rest = divmod(offset, 8)
    packed = np.packbits(np.concatenate((np.zeros(rest, np.uint8), bits)) if rest else bits, bitorder="little")
    data = np.zeros(8 * size, np.uint8)
    room = data[whole : whole + packed.size]
    room[:] = packed[: room.size]
    return data.view("<u8").astype(np.uint64, copy=False)


def _tile(rows: int, columns: int) -> int:
    """Return the size in words, some 20 times a power of two, of square tiles that cover a matrix at the least cost."""
    costs = []
    for band in range(1, _BANDS + 1):
        for side in (rows, columns):
            leaf, splits = -(-side // band), 0
            while leaf > _LARGEST:
                leaf, splits = -(-leaf // 2), splits + 1
            size = leaf << splits
            costs.append((-(-rows // size) * -(-columns // size) * 3**splits * leaf * (leaf + 1), size))
    return min(costs)[1]


# --- kernels --------------------------------------------------------------------------------------------------------


def _product(typing: Any, first: Any, second: Any) -> Any:  # noqa: ARG001 - numba hands over the types
    """Return the product of two uint64 without carry as (low, high)."""
    signature = types.UniTuple(types.uint64, 2)(types.uint64, types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number, word = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        pair = ir.VectorType(word, 2)
        instruction = builder.module.declare_intrinsic(
            "llvm.x86.pclmulqdq", (), ir.FunctionType(pair, [pair, pair, byte])
        )
        unset = ir.Constant(pair, ir.Undefined)
        operands = [builder.insert_element(unset, argument, number(0)) for argument in arguments]
        product = builder.call(instruction, [*operands, byte(0)])
        halves = [builder.extract_element(product, number(half)) for half in (0, 1)]
        return context.make_tuple(builder, signature.return_type, halves)

    return signature, generate


_carryless: Any = intrinsic(_product)

_MATRIX = "void(uint64[::1], uint64[::1], uint64[::1], int64"


@compiled(_MATRIX + ")")
def _add_leaf(band: Words, vector: Words, out: Words, size: int) -> None:
    """Add the product of a Toeplitz matrix of size x size words, given by 2 size words, with `vector`, reversed."""
    carried = np.uint64(0)
    for row in range(size + 1):
        window = band[row : row + size]
        low, high = np.uint64(0), np.uint64(0)
        for column in range(size):
            right, left = _carryless(window[column], vector[column])
            low ^= right
            high ^= left
        if row:
            out[row - 1] ^= low ^ carried
        carried = high


@compiled(_MATRIX + ", uint64[::1])")
def _add_product(band: Words, vector: Words, out: Words, size: int, scratch: Words) -> None:
    """Add as `_add_leaf` does, for sizes that halve down to a leaf. With quarters [[B, A], [C, B]] of the matrix and
    halves [y, x] of the reversed vector, the halves are B (x + y) + (A + B) y and B (x + y) + (B + C) x."""
    if size <= _LARGEST:
        _add_leaf(band, vector, out, size)
        return
    half = size >> 1
    both, summed, product = scratch[:size], scratch[size : size + half], scratch[size + half : 2 * size]
    rest = scratch[2 * size :]
    for i in range(size):
        both[i] = band[i] ^ band[half + i]
    _add_product(both, vector[:half], out[:half], half, rest)
    for i in range(size):
        both[i] = band[size + i] ^ band[half + i]
    _add_product(both, vector[half:], out[half:], half, rest)
    for i in range(half):
        summed[i] = vector[i] ^ vector[half + i]
    product[:] = 0
    _add_product(band[half : half + size], summed, product, half, rest)
    for i in range(half):
        out[i] ^= product[i]
        out[half + i] ^= product[i]


@compiled(_MATRIX + ", uint64[::1])")
def _multiply(band: Words, vector: Words, out: Words, size: int, scratch: Words) -> None:
    """Add the product of a matrix of whole tiles."""
    for row in range(0, out.size, size):
        for column in range(0, vector.size, size):
            first = row + column
            tile = band[first : first + 2 * size]
            _add_product(tile, vector[column : column + size], out[row : row + size], size, scratch)
