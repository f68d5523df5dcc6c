//===- InferOp.cpp - which rule infers which op ---------------------------===//
#include "InferOp.h"

#include "dialects/moe/Moe.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::moe;

using R = OpInference;

static const llvm::StringMap<R::Rule> &rules() {
  static const llvm::StringMap<R::Rule> table = [] {
    llvm::StringMap<R::Rule> t;
    auto put = [&](R::Rule rule, std::initializer_list<StringRef> names) {
      for (StringRef name : names)
        t[name] = rule;
    };
    // clang-format off: it would give each name a line
    put(&R::sameAsFirst,
        {"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos", "Cosh",
         "CumProd", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax", "Identity",
         "LRN", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "Mish", "Neg", "Not",
         "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
         "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu", "RotaryEmbedding", "ms.FastGelu",
         "ms.Gelu", "ms.QuickGelu", "ms.RotaryEmbedding"});
    put(&R::elementwise, {"Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Max", "Mean", "Min", "Mod",
                          "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "SwiGLU", "Xor"});
    put(&R::comparison, {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"});
    put(&R::predicate, {"IsInf", "IsNaN"});
    put(&R::where, {"Where"});
    put(&R::cast_, {"Cast", "CastLike", "BitCast"});
    put(&R::quantize, {"QuantizeLinear"});
    put(&R::dequantize, {"DequantizeLinear"});
    put(&R::dynamicQuantize, {"DynamicQuantizeLinear"});
    put(&R::dropout, {"Dropout"});
    put(&R::biasGelu, {"ms.BiasGelu"});
    put(&R::constant, {"Constant"});
    put(&R::shapeOp, {"Shape"});
    put(&R::size, {"Size"});
    put(&R::reshape, {"Reshape"});
    put(&R::flatten, {"Flatten"});
    put(&R::squeeze, {"Squeeze"});
    put(&R::unsqueeze, {"Unsqueeze"});
    put(&R::transpose, {"Transpose"});
    put(&R::concat, {"Concat"});
    put(&R::split, {"Split"});
    put(&R::slice, {"Slice"});
    put(&R::expand, {"Expand"});
    put(&R::tile, {"Tile"});
    put(&R::pad, {"Pad"});
    put(&R::constantOfShape, {"ConstantOfShape"});
    put(&R::range, {"Range"});
    put(&R::depthSpace, {"DepthToSpace", "SpaceToDepth"});
    put(&R::resize, {"Resize"});
    put(&R::eyeLike, {"EyeLike"});
    put(&R::gather, {"Gather"});
    put(&R::gatherElements, {"GatherElements"});
    put(&R::gatherND, {"GatherND"});
    put(&R::scatterElements, {"ScatterElements"});
    put(&R::scatterND, {"ScatterND"});
    put(&R::tensorScatter, {"TensorScatter"});
    put(&R::reverseSequence, {"ReverseSequence"});
    put(&R::topK, {"TopK"});
    put(&R::argReduce, {"ArgMax", "ArgMin"});
    put(&R::nonZero, {"NonZero"});
    put(&R::oneHot, {"OneHot"});
    put(&R::compress, {"Compress"});
    put(&R::unique, {"Unique"});
    put(&R::reduce, {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
                     "ReduceProd", "ReduceSum", "ReduceSumSquare"});
    put(&R::normalization, {"LayerNormalization", "RMSNormalization", "ms.SimplifiedLayerNormalization"});
    put(&R::moeNode, {"ms.MoE", "ms.QMoE"});
    put(&R::skipNorm, {"ms.SkipLayerNormalization", "ms.SkipSimplifiedLayerNormalization"});
    put(&R::batchNorm, {"BatchNormalization"});
    put(&R::channelNorm, {"GroupNormalization", "InstanceNormalization"});
    put(&R::loss, {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"});
    put(&R::matmul, {"MatMul", "MatMulInteger", "QLinearMatMul", "ms.FusedMatMul"});
    put(&R::matmulNBits, {"ms.MatMulNBits"});
    put(&R::gemm, {"Gemm"});
    put(&R::einsum, {"Einsum"});
    put(&R::conv, {"Conv", "ConvInteger"});
    put(&R::convTranspose, {"ConvTranspose"});
    put(&R::pool, {"AveragePool", "LpPool", "MaxPool"});
    put(&R::globalPool, {"GlobalAveragePool", "GlobalMaxPool"});
    put(&R::attention, {"Attention"});
    put(&R::fusedAttention, {"ms.GroupQueryAttention", "ms.MultiHeadAttention"});
    // clang-format on
    return t;
  }();
  return table;
}

/// How many of the first inputs are floats, of the operators that know no others.
static unsigned countFloats(StringRef name) {
  static const llvm::StringMap<unsigned> table = [] {
    llvm::StringMap<unsigned> t;
    auto put = [&](unsigned count, std::initializer_list<StringRef> names) {
      for (StringRef name : names)
        t[name] = count;
    };
    // clang-format off
    put(1, {"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Exp",
            "Floor", "Gelu", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Hardmax", "IsInf", "IsNaN",
            "LRN", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "LpPool", "MeanVarianceNormalization", "Mish",
            "NegativeLogLikelihoodLoss", "Reciprocal", "Round", "Selu", "Sigmoid", "Sin", "Sinh", "Softmax",
            "SoftmaxCrossEntropyLoss", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
            "ms.FastGelu", "ms.Gelu", "ms.MatMulNBits", "ms.QuickGelu", "ms.RotaryEmbedding"});
    put(2, {"RMSNormalization", "ms.BiasGelu", "ms.MoE", "ms.QMoE", "ms.SimplifiedLayerNormalization"});
    put(3, {"Attention", "Conv", "ConvTranspose", "GroupNormalization", "InstanceNormalization", "LayerNormalization",
            "RotaryEmbedding", "ms.GroupQueryAttention", "ms.MultiHeadAttention"});
    put(5, {"BatchNormalization", "ms.SkipLayerNormalization", "ms.SkipSimplifiedLayerNormalization"});
    // clang-format on
    return t;
  }();
  return table.lookup(name);
}

LogicalResult moe::inferOp(ShapeFacts &facts, ShapeFacts::Impl &impl, Operation *op,
                           MutableArrayRef<TensorFacts> results, bool &inferred) {
  OpInference inference{facts, impl, op, results};
  StringRef dialect = op->getName().getDialectNamespace();
  if (dialect == "moe") {
    inferred = true;
    return inference.moeOp();
  }
  if (dialect != "onnx")
    return success();
  auto rule = rules().find(op->getName().stripDialect());
  if (rule == rules().end())
    return success();
  inferred = true;
  for (unsigned i = 0; i < countFloats(rule->first()); ++i)
    if (inference.in(i) && !isa<FloatType>(inference.element(i)))
      return inference.expects() << "input " << i << " to be of a float type, but it is " << inference.element(i);
  return failure(failed((inference.*(rule->second))()) || failed(inference.expectLists()));
}

//===----------------------------------------------------------------------===//
// What the rules share
//===----------------------------------------------------------------------===//

std::optional<OpInference::Dims> OpInference::expressions(unsigned i) {
  const SmallVector<AffineExpr> *values = in(i) ? facts.elements(in(i)) : nullptr;
  return values ? std::optional(*values) : std::nullopt;
}

std::optional<SmallVector<int64_t>> OpInference::constants(unsigned i) {
  return in(i) ? facts.constants(in(i)) : std::nullopt;
}

/// The index in getResults() of output `position`; results that are missing take no place.
static std::optional<unsigned> resultIndex(Operation *op, unsigned position) {
  if (isa<onnx::ConstantOp>(op))
    return position;
  Value output = onnx::getOutput(op, position);
  if (!output)
    return std::nullopt;
  return cast<OpResult>(output).getResultNumber();
}

void OpInference::set(unsigned position, Dims shape, Type element) {
  if (std::optional<unsigned> i = resultIndex(op, position)) {
    results[*i].shape = std::move(shape);
    results[*i].element = element;
  }
}

void OpInference::setValues(unsigned position, Dims values) {
  std::optional<unsigned> i = resultIndex(op, position);
  if (!i || values.size() > ShapeFacts::Impl::kMaxTracked || !isa<IntegerType>(results[*i].element))
    return;
  results[*i].values = std::move(values);
  results[*i].tracked = true;
}

FailureOr<int64_t> OpInference::axisOf(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return expects() << "an axis in [" << -rank << ", " << rank << "), but found " << axis;
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>> OpInference::axesOf(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes) {
    FailureOr<int64_t> a = axisOf(axis, rank);
    if (failed(a))
      return failure();
    if (llvm::is_contained(result, *a))
      return expects() << "axes that differ, but found " << axis << " twice";
    result.push_back(*a);
  }
  return result;
}

std::string OpInference::shapeText(ArrayRef<AffineExpr> shape) {
  std::string text = "[";
  for (auto [i, dim] : llvm::enumerate(shape))
    text += (i ? ", " : "") + facts.str(dim);
  return text + "]";
}

FailureOr<OpInference::Dims> OpInference::broadcast(ArrayRef<Dims> shapes) {
  size_t rank = 0;
  for (const Dims &shape : shapes)
    rank = std::max(rank, shape.size());
  Dims result(rank, number(1));
  for (const Dims &shape : shapes)
    for (auto [i, dim] : llvm::enumerate(shape)) {
      AffineExpr &mine = result[rank - shape.size() + i];
      if (!dim || known(dim) == 1 || (mine && facts.equal(mine, dim)))
        continue;
      if (mine && known(mine) == 1) {
        mine = dim;
        continue;
      }
      std::optional<int64_t> a = known(mine), b = known(dim);
      if (a && b)
        return expects() << "shapes that broadcast, but they are " << shapeText(shapes.front()) << " and "
                         << shapeText(shapes.back());
      // A constant other than 1 wins over an extent that may be 1; two unequal extents stay unknown.
      mine = a ? mine : b ? dim : AffineExpr();
    }
  return result;
}

LogicalResult OpInference::expectShape(unsigned input, StringRef what, ArrayRef<AffineExpr> expected) {
  if (!in(input))
    return success();
  Dims found = dims(input);
  bool fits = found.size() == expected.size();
  for (auto [f, e] : llvm::zip(found, expected)) {
    std::optional<int64_t> a = known(f), b = known(e);
    fits &= !a || !b || *a == *b;
  }
  if (fits)
    return success();
  return expects() << what << " of shape " << shapeText(expected) << ", but it is " << shapeText(found);
}

LogicalResult OpInference::expectBroadcastTo(unsigned input, StringRef what, ArrayRef<AffineExpr> shape) {
  if (!in(input))
    return success();
  Dims found = dims(input);
  bool fits = found.size() <= shape.size();
  if (fits)
    for (auto [f, s] : llvm::zip(found, shape.take_back(found.size()))) {
      std::optional<int64_t> a = known(f), b = known(s);
      fits &= !a || !b || *a == 1 || *a == *b;
    }
  if (fits)
    return success();
  return expects() << what << " that broadcasts to " << shapeText(shape) << ", but it is " << shapeText(found);
}

LogicalResult OpInference::expectList(unsigned input, StringRef what, std::optional<int64_t> count) {
  if (!in(input))
    return success();
  std::optional<int64_t> found = rank(input) == 0 && constants(input) ? 1 : length(input);
  if (!found)
    return expects() << what << " as a list of known length, but they are " << shapeText(dims(input));
  if (count && *count != *found)
    return expects() << *count << " " << what << ", but there are " << *found;
  return success();
}

LogicalResult OpInference::expectOne(unsigned input, StringRef what) {
  std::optional<int64_t> count = in(input) ? known(facts.numElements(in(input))) : std::nullopt;
  if (!count || *count == 1)
    return success();
  return expects() << what << " with one element, but it has shape " << shapeText(dims(input));
}
