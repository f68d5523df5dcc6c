#ifndef MOE_TYPES_TD
#define MOE_TYPES_TD

include "dialects/moe/MoeBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"

def Moe_ScaledLayoutEnum : I32Enum<"ScaledLayout", "which of the last two dims of a scaled value is contiguous", [
    I32EnumCase<"Row", 0, "row">, I32EnumCase<"Column", 1, "column">]> {
  let cppNamespace = "::mlir::moe";
}

def Moe_ScaledType : TypeDef<Moe_Dialect, "Scaled", [ShapedTypeInterface]> {
  let mnemonic = "scaled";
  let summary = "8-bit float codes with a scale for each block";
  let description = [{
    The value of element i is `code[i] * scale[i / block]`, dim by dim. One type carries codes and scales together, so that
    a scale can be neither dropped nor exchanged: upstream ops do not take it, and only `moe` ops make or read it.
    `moe-split-scaled` turns each value into two tensors, codes and scales, before `schedule`.

    - `block` has an entry for each dim; 0 stands for the whole extent, and the last block of a dim may be shorter.
      `[0, 0]` is one scale a tensor, `[1, 0]` one a row, `[1, 128]` one for 128 elements of a row, `[1, 128, 128]` one for
      128 x 128 elements of each matrix of a bank, `[1, 0, 0]` one for each matrix.
    - `scale` is the type of a scale: f32, or f8E8M0FNU (powers of two).
    - `layout` says which of the last two dims is contiguous in memory, for codes and scales alike: `row` (the last, default) or
      `column`. Products sum over contiguous elements, so they take `row`.

    A scale is `s = max(amax, 1e-4) / largest` with amax the largest magnitude in the block (NaN if there is one), in f32, and
    largest = 448 (f8E4M3FN) or 57344 (f8E5M2); a power of two is rounded up from s. `code = cast(x / s)`: to nearest, ties to
    even, saturating, with this stored scale.

    (C1) the elements are f8E4M3FN or f8E5M2.   (C2) the rank is at least 2.   (C3) `block` has an entry >= 0 for each dim.
    (C4) `scale` is f32 or f8E8M0FNU.
    Source: docs/Spec.md, FP8.   Example: `!moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>`
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, ArrayRefParameter<"int64_t">:$block,
                        "::mlir::Type":$scale, "::mlir::moe::ScaledLayout":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool hasRank() const { return true; }
    ::mlir::ShapedType cloneWith(::std::optional<::llvm::ArrayRef<int64_t>> shape, ::mlir::Type elementType) const;
    /// The block's extent along dim `i`; kDynamic where it is a whole dynamic dim.
    int64_t getBlockSize(int64_t i) const { return getBlock()[i] ? getBlock()[i] : getShape()[i]; }
    /// The codes and the scales as tensors, in memory order (the last two dims swapped where the layout is `column`).
    ::mlir::RankedTensorType getCodesType() const;
    ::mlir::RankedTensorType getScalesType() const;
    /// `block` in memory order.
    ::llvm::SmallVector<int64_t> getMemoryBlock() const;
  }];
}

// Printed in full: what a copy is quantized to is the point of its op.
def Moe_Scaled : Type<CPred<"::llvm::isa<::mlir::moe::ScaledType>($_self)">, "scaled value">;

#endif // MOE_TYPES_TD
