//===- RaiseMoeNodes.cpp - com.microsoft MoE and QMoE nodes ---------------===//
//
//   %y = onnx.ms.MoE(%x, %logits, %w1, %b1, %w2, %b2)
//   ->
//   %w, %i = moe.route %logits {k, score = softmax}
//   %y = moe.experts %x, %w, %i params(%w1, %b1, %w2, %b2) { act(rows * w1^T + b1) * w2^T + b2 }
//
// `router_probs` holds logits: the softmax is part of the node. QMoE renormalizes always; its weights become recipes that
// dequantize. What is left as it is (and reported): floating-point quantization types, prepacked weights, scales or zero
// points that are no constants, and SwiGLU without a second projection in MoE.
//===----------------------------------------------------------------------===//
#include "MoeNode.h"
#include "OnnxMake.h"
#include "OnnxMatch.h"
#include "Reports.h"
#include "StackWeights.h"

#include "moe/Raise/Passes.h"

#include "mlir/IR/SymbolTable.h"
#include <cmath>

#define DEBUG_TYPE "moe-raise-moe-nodes"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEMOENODES
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// One projection of the experts: [E, N, K] and maybe [E, N].
struct Projection {
  Value weights, bias;
};

class NodeWriter {
public:
  explicit NodeWriter(Operation *node) : node(node), b(node), loc(node->getLoc()) {}
  /// The value of the node, or null with a reason.
  Value write();
  std::string reason;

private:
  Value fail(const Twine &why) {
    reason = why.str();
    return {};
  }
  bool readProjections();
  Value dequantized(Value codes, Value scales, Value zeroPoints, int64_t bits);
  std::pair<Value, Value> route(Value logits, int64_t experts, int64_t tokens);
  Value activate(OpBuilder &in, Value first, Value third);
  Value project(OpBuilder &in, Block &body, Value rows, const Projection &projection);

  Operation *node;
  OpBuilder b;
  Location loc;
  MoeNode m;
  Projection fc1, fc2, fc3;
  SmallVector<Value> params;
};

} // namespace

/// (codes - zero points) * scales, as a weight whose recipe says so.
Value NodeWriter::dequantized(Value codes, Value scales, Value zeroPoints, int64_t bits) {
  if (!scales)
    return fail("weights without scales");
  RankedTensorType codeType = tensorType(codes), scaleType = tensorType(scales);
  int64_t block = m.block, pack = 8 / bits;
  if (codeType.getRank() != 3 || !codeType.hasStaticShape() || !scaleType.hasStaticShape())
    return fail("weights or scales of dynamic shape");
  if (scaleType.getRank() == 2 || (scaleType.getRank() == 3 && scaleType.getDimSize(2) == 1 && block == 0))
    block = 0;
  else if (scaleType.getRank() != 3 || block <= 0)
    return fail("scales that are neither by row nor by block");
  SmallVector<Attribute> inputs = {weightRecipe(codes), weightRecipe(scales)};
  if (zeroPoints)
    inputs.push_back(weightRecipe(zeroPoints));
  if (llvm::is_contained(inputs, Attribute()))
    return fail("quantized weights, scales or zero points that are not constant");
  // Computed in the type of the activations.
  auto type = RankedTensorType::get({codeType.getDimSize(0), codeType.getDimSize(1), codeType.getDimSize(2) * pack},
                                    tensorType(node->getOperand(0)).getElementType());
  SmallVector<NamedAttribute> parameters = {b.getNamedAttr("bits", b.getI64IntegerAttr(bits)),
                                            b.getNamedAttr("block", b.getI64IntegerAttr(block))};
  if (!zeroPoints)
    parameters.push_back(b.getNamedAttr("zero_point", b.getI64IntegerAttr(int64_t(1) << (bits - 1))));
  auto recipe = RecipeAttr::get(b.getContext(), RecipeStep::Dequantize, b.getDictionaryAttr(parameters),
                                b.getArrayAttr(inputs), type);
  return newWeight(b, loc, recipe, node, "dequantized");
}

bool NodeWriter::readProjections() {
  auto take = [&](Projection &p, const MoeNode::Projection &at) {
    Value given = getInput(node, at.weights);
    p.bias = getInput(node, at.bias);
    if (!given)
      return true;
    p.weights =
        m.quantized ? dequantized(given, getInput(node, at.scales), getInput(node, at.zeroPoints), at.bits) : given;
    return static_cast<bool>(p.weights);
  };
  return take(fc1, m.fc1) && take(fc2, m.fc2) && take(fc3, m.fc3);
}

std::pair<Value, Value> NodeWriter::route(Value logits, int64_t experts, int64_t tokens) {
  MLIRContext *ctx = b.getContext();
  int64_t k = m.k;
  Value given = m.routerWeights ? getInput(node, *m.routerWeights) : Value();
  ScoreFn score = m.sparseMixer ? ScoreFn::SparseMixer : given ? ScoreFn::None : ScoreFn::Softmax;
  bool normalize = !m.sparseMixer && !given && m.normalize;
  SmallVector<Type> types = {RankedTensorType::get({tokens, k}, b.getF32Type()),
                             RankedTensorType::get({tokens, k}, b.getI64Type())};
  auto op = RouteOp::create(b, loc, types, onnxReshape(b, loc, logits, {tokens, experts}), Value(), ValueRange(),
                            b.getI64IntegerAttr(k), ScoreFnAttr::get(ctx, score), b.getI64IntegerAttr(1),
                            b.getI64IntegerAttr(1), GroupScoreAttr::get(ctx, GroupScore::Max),
                            GroupFillAttr::get(ctx, GroupFill::NegInf), WeightFnAttr::get(ctx, WeightFn::Identity),
                            NormalizeAttr::get(ctx, normalize ? Normalize::SumPlusEps : Normalize::None),
                            b.getF32FloatAttr(0), b.getF32FloatAttr(1), b.getF32FloatAttr(1), b.getF32FloatAttr(0.01));
  Value weights = op->getResult(0), indices = op->getResult(1);
  if (given) { // the probabilities choose, these weigh
    Value table = onnxCast(b, loc, onnxReshape(b, loc, given, {tokens, experts}), b.getF32Type());
    weights = onnxOp(b, loc, "GatherElements", weights.getType(), {table, indices},
                     b.getNamedAttr("axis", b.getI64IntegerAttr(1)))
                  ->getResult(0);
    if (m.normalize) {
      Value sum = onnxOp(b, loc, "ReduceSum", RankedTensorType::get({tokens, 1}, b.getF32Type()),
                         {weights, onnxInts(b, loc, {1})})
                      ->getResult(0);
      weights = onnxBinary(b, loc, "Div", weights, sum, cast<RankedTensorType>(weights.getType()));
    }
  }
  return {weights, indices};
}

/// rows * W^T + bias; W [N, K] and bias [N] are new arguments of the body.
Value NodeWriter::project(OpBuilder &in, Block &body, Value rows, const Projection &projection) {
  auto slice = [&](Value value) {
    params.push_back(value);
    RankedTensorType type = tensorType(value);
    return body.addArgument(RankedTensorType::get(type.getShape().drop_front(), type.getElementType()), loc);
  };
  RankedTensorType type = tensorType(projection.weights);
  auto out = RankedTensorType::get({ShapedType::kDynamic, type.getDimSize(1)}, tensorType(rows).getElementType());
  Value result = onnxBinary(in, loc, "MatMul", rows, onnxTranspose(in, loc, slice(projection.weights), {1, 0}), out);
  if (projection.bias)
    result = onnxBinary(in, loc, "Add", result, slice(projection.bias), out);
  return result;
}

Value NodeWriter::activate(OpBuilder &in, Value first, Value third) {
  RankedTensorType type = tensorType(first);
  Type element = type.getElementType();
  auto mul = [&](Value x, Value y) { return onnxBinary(in, loc, "Mul", x, y, tensorType(x)); };
  if (m.activation != "swiglu") {
    Value y = first;
    if (m.activation == "relu")
      y = onnxUnary(in, loc, "Relu", y);
    else if (m.activation == "silu")
      y = mul(y, onnxUnary(in, loc, "Sigmoid", y));
    else if (m.activation == "gelu")
      y = onnxOp(in, loc, "Gelu", type, y, in.getNamedAttr("approximate", in.getStringAttr("tanh")))->getResult(0);
    return third ? mul(y, third) : y;
  }
  Value gate = first, up = third;
  if (!third) {
    // One product holds both: even and odd columns, or halves.
    int64_t width = type.getDimSize(1) / 2;
    auto part = [&](int64_t start, int64_t end, int64_t step) {
      return onnxOp(in, loc, "Slice", RankedTensorType::get({ShapedType::kDynamic, width}, element),
                    {first, onnxInts(in, loc, {start}), onnxInts(in, loc, {end}), onnxInts(in, loc, {1}),
                     onnxInts(in, loc, {step})},
                    in.getNamedAttr("operandSegmentSizes", in.getDenseI32ArrayAttr({1, 1, 1, 1, 1})))
          ->getResult(0);
    };
    gate = m.interleaved ? part(0, 2 * width, 2) : part(0, width, 1);
    up = m.interleaved ? part(1, 2 * width, 2) : part(width, 2 * width, 1);
  }
  type = tensorType(gate);
  if (std::isfinite(m.limit)) {
    Value high = onnxFloat(in, loc, element, m.limit), low = onnxFloat(in, loc, element, -m.limit);
    gate = onnxOp(in, loc, "Clip", type, {gate, high},
                  in.getNamedAttr("operandSegmentSizes", in.getDenseI32ArrayAttr({1, 0, 1})))
               ->getResult(0);
    up = onnxOp(in, loc, "Clip", type, {up, low, high},
                in.getNamedAttr("operandSegmentSizes", in.getDenseI32ArrayAttr({1, 1, 1})))
             ->getResult(0);
  }
  Value scaled = m.alpha == 1 ? gate : mul(gate, onnxFloat(in, loc, element, m.alpha));
  Value shifted = m.beta == 0 ? up : onnxBinary(in, loc, "Add", up, onnxFloat(in, loc, element, m.beta), type);
  return mul(mul(gate, onnxUnary(in, loc, "Sigmoid", scaled)), shifted);
}

Value NodeWriter::write() {
  Value x = getInput(node, 0), logits = getInput(node, 1);
  RankedTensorType xType = tensorType(x), logitType = tensorType(logits);
  int64_t hidden = xType.getShape().back(), experts = logitType.getShape().back();
  if (ShapedType::isDynamic(hidden) || ShapedType::isDynamic(experts))
    return fail("hidden size or number of experts not constant");
  std::optional<MoeNode> read = MoeNode::read(node, experts, reason);
  if (!read)
    return {};
  m = *read;
  if (!readProjections())
    return {};
  for (const Projection *p : {&fc1, &fc2, &fc3}) {
    RankedTensorType type = p->weights ? tensorType(p->weights) : RankedTensorType();
    if (!type)
      continue;
    int64_t in = p == &fc2 ? type.getDimSize(2) : hidden;
    if (type.getRank() != 3 || !type.hasStaticShape() || type.getDimSize(0) != experts || type.getDimSize(2) != in)
      return fail("experts' weights of another shape than [experts, outputs, inputs]");
    if (p->bias && (tensorType(p->bias).getRank() != 2 || !tensorType(p->bias).hasStaticShape()))
      return fail("experts' biases of another shape than [experts, outputs]");
  }
  bool fused = m.activation == "swiglu" && !fc3.weights;
  int64_t inner = tensorType(fc1.weights).getDimSize(1) / (fused ? 2 : 1);
  if (tensorType(fc2.weights).getDimSize(2) != inner || (fc3.weights && tensorType(fc3.weights).getDimSize(1) != inner))
    return fail("the widths of fc1 and fc2 do not fit");

  auto product = [](ArrayRef<int64_t> dims) {
    int64_t n = 1;
    for (int64_t d : dims)
      n = ShapedType::isDynamic(d) || ShapedType::isDynamic(n) ? ShapedType::kDynamic : n * d;
    return n;
  };
  int64_t tokens = product(xType.getShape().drop_back()), logitTokens = product(logitType.getShape().drop_back());
  if (ShapedType::isDynamic(tokens))
    tokens = logitTokens;
  auto [weights, indices] = route(logits, experts, tokens);
  Region region;
  Block *body = new Block;
  region.push_back(body);
  Value rows = body->addArgument(RankedTensorType::get({ShapedType::kDynamic, hidden}, xType.getElementType()), loc);
  OpBuilder in(b.getContext());
  in.setInsertionPointToEnd(body);
  Value first = project(in, *body, rows, fc1);
  Value third = fc3.weights ? project(in, *body, rows, fc3) : Value();
  Value result = project(in, *body, activate(in, first, third), fc2);
  YieldOp::create(in, loc, result);
  int64_t outputs = tensorType(result).getDimSize(1);
  auto op = ExpertsOp::create(b, loc, TypeRange{RankedTensorType::get({tokens, outputs}, xType.getElementType())},
                              onnxReshape(b, loc, x, {tokens, hidden}), weights, indices, params, ValueRange(),
                              WeightOnAttr::get(b.getContext(), WeightOn::Output));
  op.getBody().takeBody(region);
  Value y = op->getResult(0);
  RankedTensorType type = tensorType(node->getResult(0));
  if (xType.getRank() == 2)
    return y.getType() == type ? y : onnxReshape(b, loc, y, type.getShape());
  Value shape = onnxOp(b, loc, "Shape", RankedTensorType::get({xType.getRank()}, b.getI64Type()), x)->getResult(0);
  return onnxOp(b, loc, "Reshape", type, {y, shape})->getResult(0);
}

namespace {
struct RaiseMoeNodes : moe::impl::RaiseMoeNodesBase<RaiseMoeNodes> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<Operation *> nodes;
    getOperation().walk([&](Operation *op) {
      if (isOnnx(op, {"ms.MoE", "ms.QMoE"}))
        nodes.push_back(op);
    });
    for (Operation *node : nodes) {
      NodeWriter writer(node);
      if (Value y = writer.write()) {
        Block *block = node->getBlock();
        node->getResult(0).replaceAllUsesWith(y);
        node->erase();
        eraseDeadOnnxOps(*block);
      } else {
        reportGeneric(node, "experts", writer.reason);
      }
    }
  }
};
} // namespace
