//===- Source.h - one evaluable step of a weight recipe -------------------===//
#ifndef MOE_LIB_WEIGHTS_SOURCE_H
#define MOE_LIB_WEIGHTS_SOURCE_H

#include "Box.h"
#include "FileSet.h"
#include "moe/Weights/Elements.h"

#include "dialects/moe/Moe.h"
#include <memory>
#include <vector>

namespace mlir::moe {

/// A tensor of which any box can be computed. Elements are unpacked (see Elements.h).
class Source {
public:
  virtual ~Source() = default;
  /// Writes the elements of `box`, densely and in row-major order. Reports failure through the FileSet's diagnostics.
  virtual LogicalResult read(const Box &box, char *out) = 0;

  Dims shape;
  Element element = Element::F32;
  unsigned bytes() const { return elementBytes(element); }

protected:
  Source(RankedTensorType type) : shape(type.getShape()), element(*getElement(type.getElementType())) {}
};

using SourcePtr = std::unique_ptr<Source>;

/// What all sources of one evaluation share.
struct SourceContext {
  FileSet &files;
  FileSet::EmitError emitError;
  bool transposes = false; // some step reads with large strides, so larger windows pay
};

/// The source of a `#moe.piece` or `#moe.recipe`, with all checks that need no contents. One diagnostic on failure.
FailureOr<SourcePtr> buildSource(Attribute recipe, SourceContext &context);

// One builder for each family of steps; `inputs` are built and their number is checked.
SourcePtr makePiece(PieceAttr piece, SourceContext &context);
SourcePtr makeRandom(RandomAttr random);
SourcePtr makeConstant(DenseElementsAttr elements);
SourcePtr makeCast(RecipeAttr recipe, SourcePtr input);
SourcePtr makeTranspose(RecipeAttr recipe, SourcePtr input);
SourcePtr makeReshape(RecipeAttr recipe, SourcePtr input);
SourcePtr makeSlice(RecipeAttr recipe, SourcePtr input);
SourcePtr makeConcat(RecipeAttr recipe, std::vector<SourcePtr> inputs);
SourcePtr makePack(RecipeAttr recipe, SourcePtr input);
SourcePtr makeTileRows(RecipeAttr recipe, std::vector<SourcePtr> inputs);
SourcePtr makeTileScales(RecipeAttr recipe, std::vector<SourcePtr> inputs);
SourcePtr makeTileVectors(RecipeAttr recipe, std::vector<SourcePtr> inputs);
SourcePtr makeScales(RecipeAttr recipe, SourcePtr input);
SourcePtr makeQuantize(RecipeAttr recipe, std::vector<SourcePtr> inputs);
FailureOr<SourcePtr> makeDequantize(RecipeAttr recipe, std::vector<SourcePtr> inputs, SourceContext &context);

} // namespace mlir::moe

#endif // MOE_LIB_WEIGHTS_SOURCE_H
