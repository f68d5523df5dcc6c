//===- InferReduce.cpp - reductions, norms and losses ---------------------===//
#include "InferOp.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult OpInference::reduce() {
  Dims shape = dims(0u), kept;
  bool keep = integer("keepdims", 1) != 0, noop = integer("noop_with_empty_axes", 0) != 0;
  SmallVector<int64_t> axes;
  if (in(1) && !(length(1) == 0)) {
    std::optional<SmallVector<int64_t>> given = constants(1);
    if (!given) {
      // Which axes go is known at run time; how many must be known now.
      std::optional<int64_t> count = length(1);
      if (!keep && (!count || *count > static_cast<int64_t>(shape.size())))
        return expects() << "a known number of axes, since ranks are static";
      set(0, Dims(shape.size() - (keep ? 0 : *count)), element(0));
      return success();
    }
    FailureOr<SmallVector<int64_t>> checked = axesOf(*given, shape.size());
    if (failed(checked))
      return failure();
    axes = *checked;
  } else if (!noop) {
    for (size_t i = 0; i < shape.size(); ++i)
      axes.push_back(i);
  }
  for (auto [i, dim] : llvm::enumerate(shape)) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(i));
    if (!reduced)
      kept.push_back(dim);
    else if (keep)
      kept.push_back(number(1));
  }
  set(0, kept, element(0));
  std::optional<Dims> values = expressions(0);
  if (values && shape.size() == 1 && axes.size() == 1) {
    StringRef name = op->getName().stripDialect();
    if (name == "ReduceProd" || name == "ReduceSum") {
      AffineExpr total = number(name == "ReduceProd");
      for (AffineExpr v : *values)
        total = name == "ReduceProd" ? facts.mul(total, v) : facts.add(total, v);
      setValues(0, {total});
    }
  }
  return success();
}

LogicalResult OpInference::normalization() {
  Dims shape = dims(0u);
  FailureOr<int64_t> axis = axisOf(integer("axis", -1), shape.size());
  if (failed(axis))
    return failure();
  bool centers = op->getName().stripDialect() == "LayerNormalization"; // the others have no bias
  if (failed(expectBroadcastTo(1, "a scale", shape)) || (centers && failed(expectBroadcastTo(2, "a bias", shape))))
    return failure();
  set(0, shape, element(0));
  Dims statistics = shape;
  for (size_t i = *axis; i < shape.size(); ++i)
    statistics[i] = number(1);
  auto stash = attribute<TypeAttr>("stash_type");
  Type type = stash ? stash.getValue() : builder().getF32Type();
  set(1, statistics, type);
  set(2, statistics, type);
  return success();
}

LogicalResult OpInference::skipNorm() {
  Dims shape = dims(0u);
  static constexpr StringLiteral kNames[] = {"an input", "a skip", "a scale", "a bias", "a bias"};
  for (unsigned i = 1; i < std::size(kNames); ++i)
    if (failed(expectBroadcastTo(i, kNames[i], shape)))
      return failure();
  set(0, shape, element(0));
  Dims statistics = shape;
  if (!statistics.empty())
    statistics.back() = number(1);
  set(1, statistics, builder().getF32Type());
  set(2, statistics, builder().getF32Type());
  set(3, shape, element(0));
  return success();
}

LogicalResult OpInference::batchNorm() {
  static constexpr StringLiteral kNames[] = {"an input", "a scale", "a bias", "a mean", "a variance"};
  Dims shape = dims(0u);
  for (unsigned i = 1; i < std::size(kNames); ++i)
    if (failed(expectShape(i, kNames[i], {shape.size() < 2 ? number(1) : shape[1]})))
      return failure();
  set(0, dims(0u), element(0));
  set(1, dims(3u), element(3));
  set(2, dims(4u), element(4));
  return success();
}

LogicalResult OpInference::channelNorm() {
  Dims shape = dims(0u);
  if (shape.size() < 2)
    return expects() << "an input of rank 2 or more, but it is " << shapeText(shape);
  if (failed(expectShape(1, "a scale", {shape[1]})) || failed(expectShape(2, "a bias", {shape[1]})))
    return failure();
  set(0, shape, element(0));
  return success();
}

LogicalResult OpInference::loss() {
  auto reduction = attribute<StringAttr>("reduction");
  bool none = reduction && reduction.getValue() == "none";
  Dims scores = dims(0u), labels = dims(1u);
  if (scores.size() != labels.size() + 1)
    return expects() << "scores with one dim more than labels, but they are " << shapeText(scores) << " and "
                     << shapeText(labels);
  set(0, none ? labels : Dims(), element(0));
  set(1, scores, element(0));
  return success();
}
