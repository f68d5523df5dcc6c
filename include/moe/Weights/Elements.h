//===- Elements.h - number formats of tensor elements in memory -----------===//
//
// Conversions between every element type a weight or a host tensor may have. In memory each element takes whole bytes
// ("unpacked"): an i4 or f4 takes one byte, an i1 takes one byte of 0 or 1. Files and constants pack sub-byte elements,
// low bits first; `packElements` and `unpackElements` go between the two.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_WEIGHTS_ELEMENTS_H
#define MOE_WEIGHTS_ELEMENTS_H

#include "mlir/IR/BuiltinTypes.h"
#include <cstdint>
#include <optional>

namespace mlir::moe {

enum class Element : uint8_t {
  I1,
  I2,
  I4,
  I8,
  I16,
  I32,
  I64,
  U2,
  U4,
  U8,
  U16,
  U32,
  U64,
  F4E2M1FN,
  F8E4M3FN,
  F8E5M2,
  F8E4M3FNUZ,
  F8E5M2FNUZ,
  F8E8M0FNU,
  F16,
  BF16,
  F32,
  F64,
};

/// Element of an MLIR type: signless and signed integers are I*, unsigned ones U*, index is I64; nullopt for others.
std::optional<Element> getElement(Type type);

bool isFloat(Element element);
bool isUnsigned(Element element);
/// Bits of one packed element; 8 for I1, which files hold in a byte.
unsigned packedBits(Element element);
/// Bytes of one unpacked element.
unsigned elementBytes(Element element);
/// Bytes of `count` packed elements.
int64_t packedBytes(Element element, int64_t count);

/// What an 8- or 4-bit float does with values beyond its largest finite one. Wider formats always overflow to infinity.
enum class Overflow { ToNaN, Saturate };

/// Rounds to nearest even (f8E8M0FNU: up) into the bits of a float format of at most 16 bits.
uint16_t encodeFloat(Element element, double value, Overflow overflow);
/// Value of the bits of a float format of at most 16 bits.
float decodeFloat(Element element, uint16_t bits);

/// Largest finite value of an 8-bit float format.
float largestFinite(Element element);
/// The scale of a block with the largest magnitude `amax` (see `!moe.scaled`), rounded into the format `scales`: f32, or
/// f8E8M0FNU. NaN where amax is one.
float blockScale(Element codes, Element scales, float amax);

/// One unpacked element as a number; floats exactly, integers of 64 bits as a rounded double.
double loadDouble(Element element, const char *at);
/// One unpacked integer element, sign- or zero-extended.
int64_t loadInteger(Element element, const char *at);
/// Rounds a number into an unpacked element: floats to nearest even, integers towards zero and clamped, NaN as 0.
void storeDouble(Element element, char *at, double value, Overflow overflow);
/// Stores the low bits.
void storeInteger(Element element, char *at, int64_t value);

/// `count` unpacked elements from one format to another. Float to float rounds to nearest even and saturates 8-bit
/// formats, float to integer truncates and clamps, integer to integer wraps, anything to I1 tests for non-zero.
void convertElements(Element from, const char *in, Element to, char *out, int64_t count);

/// `count` elements out of a packed stream that starts `skip` elements into `in`.
void unpackElements(Element element, const char *in, int64_t skip, char *out, int64_t count);
/// `count` elements into a packed stream; the bits past the last element are zero.
void packElements(Element element, const char *in, char *out, int64_t count);

} // namespace mlir::moe

#endif // MOE_WEIGHTS_ELEMENTS_H
