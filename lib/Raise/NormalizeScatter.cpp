//===- NormalizeScatter.cpp - writes of whole slices become Concat ---------===//
//
// `x[..., 64:] = u` leaves an exporter as a ScatterND of rows that count up, between transposes that bring the axis to
// the front:
//
//   %i = Unsqueeze(Slice(Range(0, 96, 1), 64, end), -1)
//   %r = Transpose(ScatterND(Transpose(%x, [3,1,2,0]), %i, Transpose(%u, [3,1,2,0])), [3,1,2,0])
//     ->  Concat(Slice(%x, 0, 64, axis 3), %u, axis 3)
//
// Parts of %x that a Concat made before are taken from there, so a tensor filled piece by piece becomes one Concat.
//===----------------------------------------------------------------------===//
#include "NormalizeOnnx.h"

#include "Elements.h"
#include "OnnxBuild.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

struct ScatterToConcat : OpRewritePattern<onnx::ScatterNDOp> {
  ScatterToConcat(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), facts(facts) {}

  LogicalResult matchAndRewrite(onnx::ScatterNDOp op, PatternRewriter &rewriter) const override {
    if (op.getReduction() != "none")
      return rewriter.notifyMatchFailure(op, "combines values");
    if (!isRetypable(op.getOutput()))
      return rewriter.notifyMatchFailure(op, "a user needs the result's own type");
    Value data = op.getData(), indices = op.getIndices(), updates = op.getUpdates();
    int64_t rank = OnnxBuild::typeOf(data).getRank();
    ArrayRef<AffineExpr> shape = facts.shape(indices);
    if (shape.size() != 2 || facts.constant(shape[1]) != 1 || OnnxBuild::typeOf(updates).getRank() != rank)
      return rewriter.notifyMatchFailure(op, "does not write slices along the first axis");
    std::optional<int64_t> rows = facts.constant(shape[0]), size = facts.constant(facts.shape(data)[0]);
    if (!rows || !size)
      return rewriter.notifyMatchFailure(op, "the number of slices is not known");

    ElementFacts elements(facts, op.getContext(), {shape[0]});
    Elem row = elements.at(indices, {elements.dim(0), elements.constant(0)});
    if (row.kind != Elem::Int)
      return rewriter.notifyMatchFailure(op, "which slices it writes is not known");
    std::optional<int64_t> first = facts.constant(elements.simplify(row.expr - elements.dim(0)));
    if (!first || *first < 0 || *first + *rows > *size)
      return rewriter.notifyMatchFailure(op, "the slices do not follow each other");

    OnnxBuild build{rewriter, op.getLoc()};
    SmallVector<Value> parts;
    if (*first > 0)
      parts.push_back(part(build, data, 0, 0, *first));
    parts.push_back(updates);
    if (*first + *rows < *size)
      parts.push_back(part(build, data, 0, *first + *rows, *size));
    Value result = join(build, parts);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// value[start:end] along an axis, taken from before transposes and concatenations where that is possible.
  Value part(OnnxBuild &build, Value value, int64_t axis, int64_t start, int64_t end) const {
    if (auto transpose = value.getDefiningOp<onnx::TransposeOp>()) {
      SmallVector<int64_t> perm = permutationOf(transpose);
      return build.transpose(part(build, transpose.getData(), perm[axis], start, end), perm);
    }
    auto concat = value.getDefiningOp<onnx::ConcatOp>();
    int64_t rank = OnnxBuild::typeOf(value).getRank();
    if (concat && (concat.getAxis() + rank) % rank == axis) {
      SmallVector<Value> kept;
      int64_t place = 0;
      for (Value input : concat.getInputs()) {
        std::optional<int64_t> size = facts.constant(facts.shape(input)[axis]);
        if (!size)
          return build.slice(value, axis, start, end, 1, end - start);
        int64_t from = std::max(start, place), to = std::min(end, place + *size);
        if (from == place && to == place + *size)
          kept.push_back(input);
        else if (from < to)
          kept.push_back(part(build, input, axis, from - place, to - place));
        place += *size;
      }
      return build.concat(kept, axis);
    }
    return build.slice(value, axis, start, end, 1, end - start);
  }

  /// Along the first axis; transposes that all parts share come afterwards.
  Value join(OnnxBuild &build, ArrayRef<Value> parts) const {
    SmallVector<Value> inner;
    SmallVector<int64_t> perm;
    for (Value v : parts) {
      auto transpose = v.getDefiningOp<onnx::TransposeOp>();
      if (!transpose || (!inner.empty() && permutationOf(transpose) != perm))
        return build.concat(parts, 0);
      perm = permutationOf(transpose);
      inner.push_back(transpose.getData());
    }
    return build.transpose(build.concat(inner, perm[0]), perm);
  }

  ShapeFacts &facts;
};

} // namespace

void moe::populateNormalizeScatter(RewritePatternSet &patterns, ShapeFacts &facts) {
  patterns.add<ScatterToConcat>(patterns.getContext(), facts);
}
