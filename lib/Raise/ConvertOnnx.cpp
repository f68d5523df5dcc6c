//===- ConvertOnnx.cpp - moe-convert-onnx: the one place of ONNX's meaning ===//
// Lowers every onnx op that no recogniser took, in program order, also inside the regions of moe ops.
//
//   %c = onnx.Add(%a, %b) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
//   -> %c = linalg.generic {maps = [(i, j) -> (i, j), (i, j) -> (j), (i, j) -> (i, j)]} ins(%a, %b) outs(tensor.empty) arith.addf
//
// Unsigned integers become signless (their signedness is in the ops by then); `moe.dtype` keeps what ONNX calls them.
// Variants without a lowering are reported at their node, all of them, and the pass fails.
//===----------------------------------------------------------------------===//
#include "ConvertOnnx.h"

#include "dialects/moe/Moe.h"
#include "moe/Raise/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONVERTONNX
#include "moe/Raise/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::convert;

static const LowerTable &lowerTable() {
  static const LowerTable table = [] {
    LowerTable t;
    addElementwise(t);
    addCast(t);
    addShape(t);
    addSlice(t);
    addReduce(t);
    addNorm(t);
    addProduct(t);
    addConv(t);
    addGather(t);
    addSelect(t);
    addAttention(t);
    addMsAttention(t);
    addMoe(t);
    addLoss(t);
    return t;
  }();
  return table;
}

static bool isOnnx(Operation *op) { return isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()); }

/// The recipe with its unsigned elements called signless. Bytes are the same; steps that compute keep their inputs.
static Attribute signlessRecipe(Attribute recipe) {
  if (auto piece = dyn_cast<PieceAttr>(recipe))
    return PieceAttr::get(piece.getContext(), piece.getFile(), piece.getOffset(), piece.getSize(),
                          cast<RankedTensorType>(signless(piece.getType())));
  auto step = dyn_cast<RecipeAttr>(recipe);
  if (!step) // random values are floats
    return recipe;
  bool moves = step.getStep() != RecipeStep::Cast && step.getStep() != RecipeStep::Dequantize;
  SmallVector<Attribute> inputs(step.getInputs().getValue());
  if (moves)
    for (Attribute &input : inputs)
      input = signlessRecipe(input);
  return RecipeAttr::get(recipe.getContext(), step.getStep(), step.getParams(),
                         ArrayAttr::get(recipe.getContext(), inputs), cast<RankedTensorType>(signless(step.getType())));
}

namespace {

/// Values that are not results of onnx ops but have unsigned elements (arguments, weights): lowered code sees them through
/// a cast until all onnx ops are gone, then they change their type.
class UnsignedValues {
public:
  UnsignedValues(func::FuncOp func, OnnxLowering &lowering) {
    func.walk([&](Block *block) {
      for (BlockArgument arg : block->getArguments())
        add(arg, block, block->begin(), lowering);
    });
    SmallVector<Operation *> others;
    func.walk([&](Operation *op) {
      if (!isOnnx(op))
        others.push_back(op);
    });
    for (Operation *op : others)
      for (Value result : op->getResults())
        add(result, op->getBlock(), std::next(op->getIterator()), lowering);
  }

  void finish() {
    for (UnrealizedConversionCastOp cast : casts) {
      Value source = cast.getOperand(0);
      source.setType(cast.getResult(0).getType());
      cast.getResult(0).replaceAllUsesWith(source);
      cast.erase();
    }
  }

private:
  void add(Value v, Block *block, Block::iterator at, OnnxLowering &lowering) {
    Type type = signless(v.getType());
    if (type == v.getType())
      return;
    OpBuilder b(block, at);
    auto cast = UnrealizedConversionCastOp::create(b, v.getLoc(), type, v);
    casts.push_back(cast);
    lowering.bind(v, cast.getResult(0));
  }
  SmallVector<UnrealizedConversionCastOp> casts;
};

struct ConvertOnnx : mlir::moe::impl::ConvertOnnxBase<ConvertOnnx> {
  using ConvertOnnxBase::ConvertOnnxBase;

  LogicalResult convert(func::FuncOp func) {
    ShapeFacts facts(func);
    OnnxLowering lowering(func, facts);
    UnsignedValues unsignedValues(func, lowering);
    SmallVector<Operation *> ops;
    func.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isOnnx(op))
        ops.push_back(op);
    });
    LogicalResult result = success();
    for (Operation *op : ops) {
      lowering.start(op);
      Lower lower = lowerTable().lookup(op->getName().stripDialect());
      if (lower ? succeeded(lower(lowering)) && succeeded(lowering.finish())
                : failed(lowering.unsupported("has no lowering")) && false) {
        ++numLowered;
        continue;
      }
      result = failure();
      // Stand-ins let the others be checked too.
      for (Value r : op->getResults())
        lowering.bind(r,
                      UnrealizedConversionCastOp::create(lowering.b, op->getLoc(), signless(r.getType()), ValueRange())
                          .getResult(0));
    }
    if (failed(result))
      return failure();
    for (Operation *op : ops)
      for (Value r : op->getResults())
        if (!r.use_empty()) {
          Value replacement = lowering.lookup(r);
          if (replacement == r)
            return op->emitOpError("has a result without a lowering");
          r.replaceAllUsesWith(replacement);
        }
    for (Operation *op : llvm::reverse(ops))
      op->erase();
    unsignedValues.finish();
    auto signlessTypes = [](TypeRange types) { return llvm::map_to_vector(types, [](Type t) { return signless(t); }); };
    func.setFunctionType(FunctionType::get(func.getContext(), signlessTypes(func.getArgumentTypes()),
                                           signlessTypes(func.getResultTypes())));
    return checkMade(func);
  }

  /// Operands that do not fit and that no rule looked at make ops that are not valid, which later passes trust: they end here.
  LogicalResult checkMade(func::FuncOp func) {
    std::optional<Location> where;
    std::string why;
    {
      ScopedDiagnosticHandler handler(func.getContext(), [&](Diagnostic &diagnostic) {
        if (!where) {
          where = diagnostic.getLocation();
          why = diagnostic.str();
        }
        return success();
      });
      if (succeeded(verify(func)))
        return success();
    }
    return emitError(where.value_or(func.getLoc())) << "expects inputs and attributes that fit together, but " << why;
  }

  void runOnOperation() override {
    bool failedAny = false;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isDeclaration())
        failedAny |= failed(convert(func));
    for (auto weight : getOperation().getOps<WeightOp>()) {
      if (signless(weight.getType()) == weight.getType())
        continue;
      weight.setRecipeAttr(signlessRecipe(weight.getRecipe()));
      weight.setType(cast<RankedTensorType>(signless(weight.getType())));
    }
    if (failedAny)
      signalPassFailure();
  }
};

} // namespace
