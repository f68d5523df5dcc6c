//===- ConvertOnnxLoss.cpp - cross entropy and negative log likelihood ----===//
#include "ConvertOnnx.h"

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

namespace {

/// loss[n, d..] = -logp[n, label[n, d..], d..] * w[label]; `mean` divides by the sum of the w. An ignored label weighs 0.
LogicalResult likelihood(OnnxLowering &l, Value logp) {
  Value labels = l.input(1), weights = l.input(2);
  int64_t rank = l.rankOf(1);
  if (l.rankOf(0) != rank + 1 || rank < 1)
    return l.unsupported("expects scores of one rank more than the labels");
  Type elem = l.elementOf(0), wide = ranked(logp).getElementType();
  std::string reduction = l.stringAttr("reduction", "mean");
  bool ignores = l.op->hasAttr("ignore_index");
  int64_t ignored = l.intAttr("ignore_index", 0);
  Value classes = l.value(l.size(logp, 1));
  Sizes sizes = l.sizes(labels);
  AffineMap identity = l.b.getMultiDimIdentityMap(rank);
  using I = arith::CmpIPredicate;
  auto weightOf = [&](Scalars &s, Value label) {
    Value w = s.constant(wide, 1);
    if (weights)
      w = s.cast(s.make<tensor::ExtractOp>(weights, ValueRange{l.safeIndex(s, label, classes)}), l.elementOf(2), wide);
    if (ignores)
      w = s.select(s.cmp(I::eq, label, s.integer(label.getType(), ignored)), s.constant(wide, 0), w);
    return w;
  };
  Value losses = l.generic(wide, sizes, {labels}, {identity}, [&](Scalars &s, ValueRange x) {
    SmallVector<Value> place = {s.position(0), l.safeIndex(s, x[0], classes)};
    for (int64_t d = 1; d < rank; ++d)
      place.push_back(s.position(d));
    Value loss = s.mul(s.negate(s.make<tensor::ExtractOp>(logp, place)), weightOf(s, x[0]));
    if (ignores)
      loss = s.select(s.cmp(I::eq, x[0], s.integer(x[0].getType(), ignored)), s.constant(wide, 0), loss);
    return loss;
  });
  if (reduction == "none") {
    l.set(l.narrow(losses, elem));
    return success();
  }
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  Value sum = l.reduceSum(losses, all);
  if (reduction == "mean") {
    Value each =
        l.generic(wide, sizes, {labels}, {identity}, [&](Scalars &s, ValueRange x) { return weightOf(s, x[0]); });
    Value total = l.reduceSum(each, all);
    sum = l.elementwise(wide, {sum, total}, [](Scalars &s, ValueRange x) { return s.make<arith::DivFOp>(x[0], x[1]); });
  } else if (reduction != "sum") {
    return l.unsupported("expects reduction none, sum or mean, but found " + reduction);
  }
  l.set(l.narrow(sum, elem));
  return success();
}

LogicalResult lowerSoftmaxCrossEntropy(OnnxLowering &l) {
  if (l.rankOf(0) < 2)
    return l.unsupported("expects scores of rank 2 or more");
  Value logp = l.logSoftmax(l.widen(l.input(0)), 1);
  if (l.onnxResult(1))
    l.set(1, l.narrow(logp, l.elementOf(0)));
  return likelihood(l, logp);
}

LogicalResult lowerNegativeLogLikelihood(OnnxLowering &l) { return likelihood(l, l.widen(l.input(0))); }

} // namespace

void convert::addLoss(LowerTable &t) {
  t["SoftmaxCrossEntropyLoss"] = lowerSoftmaxCrossEntropy;
  t["NegativeLogLikelihoodLoss"] = lowerNegativeLogLikelihood;
}
