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
//
// `x[mask] = u` with a mask over rows leaves as a write of single elements. The elements under a mask that is the same
// along a row are those of whole rows, in their order:
//
//   ScatterND(%x, Transpose(NonZero(Expand(Unsqueeze(%mask), shape of %x))), Reshape(%u, [-1]))
//     ->  ScatterND(%x, Transpose(NonZero(%mask)), %u)
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

struct MaskedRowsToRows : OpRewritePattern<onnx::ScatterNDOp> {
  MaskedRowsToRows(MLIRContext *context, ShapeFacts &facts) : OpRewritePattern(context), facts(facts) {}

  LogicalResult matchAndRewrite(onnx::ScatterNDOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getIndices().getDefiningOp<onnx::TransposeOp>();
    auto places = transpose ? transpose.getData().getDefiningOp<onnx::NonZeroOp>() : onnx::NonZeroOp();
    auto expand = places ? places->getOperand(0).getDefiningOp<onnx::ExpandOp>() : onnx::ExpandOp();
    if (!expand || permutationOf(transpose) != SmallVector<int64_t>{1, 0})
      return rewriter.notifyMatchFailure(op, "does not write under a mask that is repeated");
    Value data = op.getData(), full = expand->getResult(0), mask = expand->getOperand(0);
    int64_t rank = OnnxBuild::typeOf(data).getRank();
    if (OnnxBuild::typeOf(full).getRank() != rank || OnnxBuild::typeOf(mask).getRank() != rank)
      return rewriter.notifyMatchFailure(op, "the mask has other dims than the data");
    // [rows, 1, ...] -> [rows], with the same extents before and after.
    int64_t kept = rank;
    while (kept > 0 && OnnxBuild::typeOf(mask).getDimSize(kept - 1) == 1)
      --kept;
    Operation *column = mask.getDefiningOp();
    if (kept == 0 || kept == rank || !isa_and_nonnull<onnx::UnsqueezeOp, onnx::ReshapeOp>(column))
      return rewriter.notifyMatchFailure(op, "the mask is not one of whole rows");
    Value rowMask = column->getOperand(0);
    if (OnnxBuild::typeOf(rowMask).getRank() != kept)
      return rewriter.notifyMatchFailure(op, "the mask of rows has other dims");
    for (int64_t i = 0; i < kept; ++i)
      if (!facts.equal(facts.shape(rowMask)[i], facts.shape(full)[i]) ||
          !facts.equal(facts.shape(rowMask)[i], facts.shape(mask)[i]))
        return rewriter.notifyMatchFailure(op, "the mask is repeated along the rows as well");
    for (int64_t i = kept; i < rank; ++i)
      if (!facts.equal(facts.shape(full)[i], facts.shape(data)[i]))
        return rewriter.notifyMatchFailure(op, "the mask covers part of a row");

    // The updates are rows in order. What lies between keeps the order; with the extents of the rows it keeps all of
    // them too, because a write has as many updates as places, and nothing here can both repeat and drop some.
    bool mayRepeat = false, mayDrop = false;
    for (Value rows = op.getUpdates(); Operation *from = rows.getDefiningOp(); rows = from->getOperand(0)) {
      if (onnx::NonZeroOp at = listed(rowMask, op); at && areRows(rows, at, full, kept))
        return write(op, rows, at, rewriter);
      mayRepeat |= isa<onnx::ExpandOp>(from);
      mayDrop |= isa<onnx::SliceOp>(from);
      bool cutsEnd =
          isa<onnx::SliceOp>(from) && OnnxBuild::typeOf(rows).getRank() == 1 && takesFirst(cast<onnx::SliceOp>(from));
      if ((mayRepeat && mayDrop) ||
          !(isa<onnx::ExpandOp, onnx::ReshapeOp, onnx::FlattenOp, onnx::UnsqueezeOp, onnx::SqueezeOp>(from) || cutsEnd))
        break;
    }
    return rewriter.notifyMatchFailure(op, "the updates are not known to be one row a place of the mask");
  }

private:
  static bool takesFirst(onnx::SliceOp slice) {
    auto starts = onnx::getConstantInts(slice.getStarts());
    auto steps = slice.getSteps() ? onnx::getConstantInts(slice.getSteps()) : SmallVector<int64_t>{1};
    return starts && steps && *starts == SmallVector<int64_t>{0} && *steps == SmallVector<int64_t>{1};
  }
  /// The NonZero of `mask` before `op`.
  static onnx::NonZeroOp listed(Value mask, Operation *op) {
    for (Operation *user : mask.getUsers())
      if (auto nonZero = dyn_cast<onnx::NonZeroOp>(user);
          nonZero && user->getBlock() == op->getBlock() && user->isBeforeInBlock(op))
        return nonZero;
    return {};
  }
  bool areRows(Value rows, onnx::NonZeroOp at, Value full, int64_t kept) const {
    ArrayRef<AffineExpr> shape = facts.shape(rows), whole = facts.shape(full);
    if (shape.size() != whole.size() - kept + 1 || !facts.equal(shape[0], facts.shape(at->getResult(0))[1]))
      return false;
    for (size_t i = 1; i < shape.size(); ++i)
      if (!facts.equal(shape[i], whole[kept + i - 1]))
        return false;
    return true;
  }
  LogicalResult write(onnx::ScatterNDOp op, Value rows, onnx::NonZeroOp at, PatternRewriter &rewriter) const {
    OnnxBuild build{rewriter, op.getLoc()};
    Value indices = build.transpose(at->getResult(0), {1, 0});
    rewriter.modifyOpInPlace(op, [&] {
      op.getIndicesMutable().assign(indices);
      op.getUpdatesMutable().assign(rows);
    });
    return success();
  }

  ShapeFacts &facts;
};

} // namespace

void moe::mergeNonZeros(func::FuncOp func) {
  for (Block &block : func.getBody()) {
    DenseMap<Value, Operation *> first;
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isa<onnx::NonZeroOp>(op))
        continue;
      auto [it, isNew] = first.try_emplace(op.getOperand(0), &op);
      if (isNew || it->second->getResultTypes() != op.getResultTypes())
        continue;
      op.replaceAllUsesWith(it->second);
      op.erase();
    }
  }
}

void moe::populateNormalizeScatter(RewritePatternSet &patterns, ShapeFacts &facts) {
  patterns.add<ScatterToConcat, MaskedRowsToRows>(patterns.getContext(), facts);
}
