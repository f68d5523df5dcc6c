//===- RaiseRope.cpp - rotary position embeddings become moe.rope ----------===//
//
// Two values of pairs (a, b) turn by the angle whose cosine and sine are in tables:
//
//   Concat(Sub(Mul(%a, %c), Mul(%b, %s)), Add(Mul(%b, %c), Mul(%a, %s)))
//     ->  moe.rope Concat(%a, %b), %c, %s              and %x for Concat(%a, %b) where these are its halves
//   Reshape(Concat(Unsqueeze(Sub(...)), Unsqueeze(Add(...))))                of %a = %x[::2], %b = %x[1::2]
//     ->  moe.rope %x, %c, %s {interleaved}
//   Add(Mul(%x, %c), Mul(Concat(Neg(%x[h:]), %x[:h]), %s))                   where both halves of a table are equal
//     ->  moe.rope %x, %c[:h], %s[:h]
//
// Even and odd features that leave as halves are the first form: their Concat reorders, as the graph did. RotaryEmbedding
// nodes convert with their tables gathered by position. What fits none of these stays as it is.
//===----------------------------------------------------------------------===//
#include "Elements.h"
#include "OnnxBuild.h"
#include "moe/Raise/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define DEBUG_TYPE "moe-raise-rope"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEROPE
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }
static bool isLastAxis(int64_t axis, Value v) { return axis == -1 || axis == typeOf(v).getRank() - 1; }

namespace {

/// a * c - b * s and b * c + a * s.
struct Turned {
  Value a, b, cos, sin;
};

/// The operands of a product as (x, table): `x` has the rank of the result, the table broadcasts over heads.
std::optional<std::pair<Value, Value>> asProduct(Value v, Value x) {
  auto mul = v.getDefiningOp<onnx::MulOp>();
  if (!mul)
    return std::nullopt;
  for (unsigned i : {0u, 1u})
    if (mul->getOperand(i) == x)
      return std::make_pair(x, Value(mul->getOperand(1 - i)));
  return std::nullopt;
}

std::optional<Turned> matchTurned(Value first, Value second) {
  auto sub = first.getDefiningOp<onnx::SubOp>();
  auto add = second.getDefiningOp<onnx::AddOp>();
  if (!sub || !add)
    return std::nullopt;
  auto left = sub->getOperand(0).getDefiningOp<onnx::MulOp>();
  auto right = sub->getOperand(1).getDefiningOp<onnx::MulOp>();
  if (!left || !right)
    return std::nullopt;
  for (unsigned i : {0u, 1u})
    for (unsigned j : {0u, 1u}) {
      Turned t{left->getOperand(i), right->getOperand(j), left->getOperand(1 - i), right->getOperand(1 - j)};
      for (unsigned k : {0u, 1u}) {
        auto bc = asProduct(add->getOperand(k), t.b), as = asProduct(add->getOperand(1 - k), t.a);
        if (bc && as && bc->second == t.cos && as->second == t.sin)
          return t;
      }
    }
  return std::nullopt;
}

class Rotations {
public:
  Rotations(ShapeFacts &facts, RewriterBase &rewriter) : facts(facts), rewriter(rewriter) {}

  bool matchConcat(onnx::ConcatOp concat);
  bool matchInterleaved(onnx::ReshapeOp reshape);
  bool matchRotateHalf(onnx::AddOp add);
  bool matchNode(Operation *op);

private:
  /// A table [batch | 1, positions, pairs] from one that broadcasts to `x` [batch, heads, positions, pairs]; null if it is none.
  /// Asks only, where `build` is null.
  Value table(OnnxBuild *build, Value v, ArrayRef<AffineExpr> x, AffineExpr pairs);
  /// The first half of a table whose halves are equal; null if they may differ.
  Value half(OnnxBuild &build, Value v, unsigned depth = 0);
  bool hasEqualHalves(Value v, unsigned depth = 0);
  /// The value of which `a` and `b` are the halves, or (interleaved) the even and odd features; null if there is none.
  Value whole(Value a, Value b, bool interleaved);
  Value rope(OnnxBuild &build, Value x, Value cos, Value sin, bool interleaved);
  void replace(Operation *op, Value with);

  ShapeFacts &facts;
  RewriterBase &rewriter;
};

} // namespace

Value Rotations::table(OnnxBuild *build, Value v, ArrayRef<AffineExpr> x, AffineExpr pairs) {
  ArrayRef<AffineExpr> shape = facts.shape(v);
  AffineExpr one = getAffineConstantExpr(1, v.getContext());
  if (shape.size() < 2 || shape.size() > 4 || !facts.equal(shape.back(), pairs) ||
      !facts.equal(shape[shape.size() - 2], x[2]))
    return {};
  if (shape.size() >= 3 && shape[shape.size() - 3] != one)
    return {};
  if (shape.size() == 4 && shape[0] != one && !facts.equal(shape[0], x[0]))
    return {};
  if (!build)
    return v;
  if (shape.size() == 2)
    return build->unsqueeze(v, {0});
  if (shape.size() == 3)
    return v;
  if (auto unsqueeze = v.getDefiningOp<onnx::UnsqueezeOp>())
    if (auto axes = onnx::getConstantInts(unsqueeze.getAxes()); axes && axes->size() == 1 && ((*axes)[0] + 4) % 4 == 1)
      return unsqueeze.getData();
  return build->squeeze(v, {1});
}

bool Rotations::hasEqualHalves(Value v, unsigned depth) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 12)
    return false;
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return concat.getInputs().size() == 2 && concat.getInputs()[0] == concat.getInputs()[1] &&
           isLastAxis(concat.getAxis(), v);
  if (isa<onnx::CosOp, onnx::SinOp, onnx::CastOp, onnx::IdentityOp>(op))
    return hasEqualHalves(op->getOperand(0), depth + 1);
  if (isa<onnx::MulOp, onnx::DivOp>(op))
    return onnx::getConstantScalar(op->getOperand(1)) && typeOf(op->getOperand(1)).getNumElements() == 1 &&
           hasEqualHalves(op->getOperand(0), depth + 1);
  if (auto unsqueeze = dyn_cast<onnx::UnsqueezeOp>(op)) {
    auto axes = onnx::getConstantInts(unsqueeze.getAxes());
    int64_t rank = typeOf(v).getRank();
    return axes && llvm::none_of(*axes, [&](int64_t a) { return (a + rank) % rank == rank - 1; }) &&
           hasEqualHalves(unsqueeze.getData(), depth + 1);
  }
  return false;
}

Value Rotations::half(OnnxBuild &build, Value v, unsigned depth) {
  Operation *op = v.getDefiningOp();
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return concat.getInputs()[0];
  Value inner = half(build, op->getOperand(0), depth + 1);
  SmallVector<int64_t> shape(typeOf(v).getShape());
  shape.back() = typeOf(inner).getShape().back();
  IRMapping mapping;
  mapping.map(op->getOperand(0), inner);
  Operation *copy = rewriter.clone(*op, mapping);
  copy->getResult(0).setType(typeOf(v).clone(shape));
  return copy->getResult(0);
}

Value Rotations::whole(Value a, Value b, bool interleaved) {
  ArrayRef<AffineExpr> shape = facts.shape(a);
  if (shape.size() != 4)
    return {};
  AffineExpr pairs = shape[3];
  Value x = a;
  for (unsigned steps = 0; steps < 4; ++steps) {
    Operation *op = x.getDefiningOp();
    if (!op ||
        !isa<onnx::SliceOp, onnx::SplitOp, onnx::SqueezeOp, onnx::ReshapeOp, onnx::GatherOp, onnx::TransposeOp>(op))
      return {};
    x = op->getOperand(0);
    ArrayRef<AffineExpr> all = facts.shape(x);
    if (all.size() != 4 || !facts.equal(all[3], facts.mul(pairs, getAffineConstantExpr(2, a.getContext()))) ||
        !facts.equal(all[0], shape[0]) || !facts.equal(all[1], shape[1]) || !facts.equal(all[2], shape[2]))
      continue;
    ElementFacts elements(facts, a.getContext(), shape);
    Index at{elements.dim(0), elements.dim(1), elements.dim(2), elements.dim(3)}, even(at), odd(at);
    even[3] = interleaved ? at[3] * 2 : at[3];
    odd[3] = interleaved ? at[3] * 2 + 1 : at[3] + pairs;
    if (elements.equal(elements.at(a, at), elements.at(x, even)) &&
        elements.equal(elements.at(b, at), elements.at(x, odd)))
      return x;
  }
  return {};
}

Value Rotations::rope(OnnxBuild &build, Value x, Value cos, Value sin, bool interleaved) {
  Type element = typeOf(cos).getElementType();
  return RopeOp::create(rewriter, build.loc, TypeRange(x.getType()), x, cos, build.castTo(sin, element), ValueRange(),
                        interleaved ? rewriter.getUnitAttr() : UnitAttr())
      ->getResult(0);
}

void Rotations::replace(Operation *op, Value with) {
  Value old = op->getResult(0);
  if (old.getType() != with.getType() && !isRetypable(old))
    with.setType(old.getType());
  rewriter.replaceAllUsesWith(old, with);
}

bool Rotations::matchConcat(onnx::ConcatOp concat) {
  Value out = concat.getConcatResult();
  if (concat.getInputs().size() != 2 || typeOf(out).getRank() != 4 || !isLastAxis(concat.getAxis(), out))
    return false;
  auto t = matchTurned(concat.getInputs()[0], concat.getInputs()[1]);
  if (!t || !facts.equalShapes(t->a, t->b) || !facts.equalShapes(t->a, concat.getInputs()[0]))
    return false;
  ArrayRef<AffineExpr> shape = facts.shape(t->a);
  if (!table(nullptr, t->cos, shape, shape[3]) || !table(nullptr, t->sin, shape, shape[3]))
    return false;
  rewriter.setInsertionPoint(concat);
  OnnxBuild build{rewriter, concat.getLoc()};
  Value x = whole(t->a, t->b, false);
  if (!x)
    x = build.concat({t->a, t->b}, 3);
  replace(concat,
          rope(build, x, table(&build, t->cos, shape, shape[3]), table(&build, t->sin, shape, shape[3]), false));
  return true;
}

bool Rotations::matchInterleaved(onnx::ReshapeOp reshape) {
  auto concat = reshape.getData().getDefiningOp<onnx::ConcatOp>();
  if (!concat || concat.getInputs().size() != 2 || typeOf(concat.getConcatResult()).getRank() != 5 ||
      typeOf(reshape.getReshaped()).getRank() != 4 || !isLastAxis(concat.getAxis(), concat.getConcatResult()))
    return false;
  auto first = concat.getInputs()[0].getDefiningOp<onnx::UnsqueezeOp>();
  auto second = concat.getInputs()[1].getDefiningOp<onnx::UnsqueezeOp>();
  if (!first || !second)
    return false;
  for (auto unsqueeze : {first, second}) {
    auto axes = onnx::getConstantInts(unsqueeze.getAxes());
    if (!axes || axes->size() != 1 || ((*axes)[0] + 5) % 5 != 4)
      return false;
  }
  auto t = matchTurned(first.getData(), second.getData());
  if (!t || !facts.equalShapes(t->a, t->b) || typeOf(t->a).getRank() != 4)
    return false;
  Value x = whole(t->a, t->b, /*interleaved=*/true);
  ArrayRef<AffineExpr> shape = facts.shape(t->a);
  if (!x || !facts.equalShapes(x, reshape.getReshaped()) || !table(nullptr, t->cos, shape, shape[3]) ||
      !table(nullptr, t->sin, shape, shape[3]))
    return false;
  rewriter.setInsertionPoint(reshape);
  OnnxBuild build{rewriter, reshape.getLoc()};
  replace(reshape,
          rope(build, x, table(&build, t->cos, shape, shape[3]), table(&build, t->sin, shape, shape[3]), true));
  return true;
}

bool Rotations::matchRotateHalf(onnx::AddOp add) {
  if (typeOf(add->getResult(0)).getRank() != 4)
    return false;
  for (unsigned i : {0u, 1u}) {
    auto straight = add->getOperand(i).getDefiningOp<onnx::MulOp>(),
         turned = add->getOperand(1 - i).getDefiningOp<onnx::MulOp>();
    if (!straight || !turned)
      continue;
    for (unsigned j : {0u, 1u})
      for (unsigned k : {0u, 1u}) {
        Value x = straight->getOperand(j), cos = straight->getOperand(1 - j), sin = turned->getOperand(1 - k);
        auto concat = turned->getOperand(k).getDefiningOp<onnx::ConcatOp>();
        if (!concat || concat.getInputs().size() != 2 || !isLastAxis(concat.getAxis(), concat.getConcatResult()))
          continue;
        auto neg = concat.getInputs()[0].getDefiningOp<onnx::NegOp>();
        if (!neg || !facts.equalShapes(x, add->getResult(0)) ||
            whole(concat.getInputs()[1], neg->getOperand(0), false) != x)
          continue;
        ArrayRef<AffineExpr> shape = facts.shape(x);
        if (!table(nullptr, cos, shape, shape[3]) || !table(nullptr, sin, shape, shape[3]) || !hasEqualHalves(cos) ||
            !hasEqualHalves(sin))
          continue;
        rewriter.setInsertionPoint(add);
        OnnxBuild build{rewriter, add.getLoc()};
        AffineExpr pairs = facts.shape(concat.getInputs()[1])[3];
        Value c = half(build, cos), s = half(build, sin);
        replace(add, rope(build, x, table(&build, c, shape, pairs), table(&build, s, shape, pairs), false));
        return true;
      }
  }
  return false;
}

/// onnx.RotaryEmbedding and com.microsoft's, whose positions come second.
bool Rotations::matchNode(Operation *op) {
  bool ms = isa<onnx::MsRotaryEmbeddingOp>(op);
  Value x = onnx::getInput(op, 0), cos = onnx::getInput(op, ms ? 2 : 1), sin = onnx::getInput(op, ms ? 3 : 2),
        positions = onnx::getInput(op, ms ? 1 : 3);
  auto intAttr = [&](StringRef name) {
    auto attr = op->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  auto scale = op->getAttrOfType<FloatAttr>("scale");
  if (intAttr("is_packed_batching") || (scale && scale.getValueAsDouble() != 1) ||
      (positions && typeOf(positions).getRank() != 2))
    return false;
  int64_t rank = typeOf(x).getRank(), heads = intAttr("num_heads");
  if ((rank != 4 &&
       (rank != 3 || heads < 1 || ShapedType::isDynamic(typeOf(x).getDimSize(2)) || typeOf(x).getDimSize(2) % heads)) ||
      typeOf(cos).getRank() != (positions ? 2 : 3) || typeOf(sin).getRank() != typeOf(cos).getRank())
    return false;
  int64_t width = rank == 4 ? typeOf(x).getDimSize(3) : typeOf(x).getDimSize(2) / heads,
          rotated = intAttr("rotary_embedding_dim");
  rotated = rotated ? rotated : width;
  if (rotated < 1 || rotated > width || rotated % 2 || typeOf(cos).getShape().back() != rotated / 2 ||
      typeOf(sin).getShape().back() != rotated / 2)
    return false;
  rewriter.setInsertionPoint(op);
  OnnxBuild build{rewriter, op->getLoc()};
  Value out = op->getResult(0);
  if (rank == 3) {
    auto type = typeOf(x);
    x = build.transpose(build.reshape(x, {0, 0, heads, width}, {type.getDimSize(0), type.getDimSize(1), heads, width}),
                        {0, 2, 1, 3});
  }
  if (positions) {
    auto gather = [&](Value cache) -> Value {
      auto type = RankedTensorType::get({typeOf(positions).getDimSize(0), typeOf(positions).getDimSize(1), rotated / 2},
                                        typeOf(cache).getElementType());
      return onnx::GatherOp::create(rewriter, op->getLoc(), type, cache, positions, 0);
    };
    cos = gather(cos);
    sin = gather(sin);
  }
  Value y = rope(build, x, cos, sin, intAttr("interleaved") != 0);
  if (rank == 3)
    y = build.reshape(build.transpose(y, {0, 2, 1, 3}), {0, 0, heads * width}, typeOf(out).getShape());
  replace(op, y);
  return true;
}

namespace {
struct RaiseRope : moe::impl::RaiseRopeBase<RaiseRope> {
  using RaiseRopeBase::RaiseRopeBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isDeclaration())
      return;
    ShapeFacts facts(func);
    IRRewriter rewriter(&getContext());
    rewriter.setListener(&facts);
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) {
      if (isa<onnx::ConcatOp, onnx::ReshapeOp, onnx::AddOp, onnx::RotaryEmbeddingOp, onnx::MsRotaryEmbeddingOp>(op) &&
          op->getParentOp() == func)
        ops.push_back(op);
    });
    Rotations rotations(facts, rewriter);
    for (Operation *op : ops) {
      bool found = false;
      if (auto concat = dyn_cast<onnx::ConcatOp>(op))
        found = rotations.matchConcat(concat);
      else if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
        found = rotations.matchInterleaved(reshape);
      else if (auto add = dyn_cast<onnx::AddOp>(op))
        found = rotations.matchRotateHalf(add);
      else
        found = rotations.matchNode(op);
      numRotations += found;
    }
    ops.clear();
    func.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        rewriter.eraseOp(op);
  }
};
} // namespace
