//===- SplitScaled.cpp - scaled values become codes and scales -------------===//
//
//   %q = moe.quantize %x : tensor<?x256xf32> -> !moe.scaled<?x256xf8E4M3FN, block = [1, 128], scale = f32>
//   %p = moe.quantize %w : ...          (%w = moe.get_weight @w)
//   %y = moe.grouped_matmul %q weights(%p)
//     ->
//   moe.weight @w_codes = #moe.recipe<pack, [#moe.recipe<quantize, [@w's recipe, its scales]>]>
//   moe.weight @w_scales = #moe.recipe<scales, [@w's recipe]>
//   %q:2 = moe.quantize_blocks %x {block = [1, 128]}
//   %y = moe.grouped_matmul %q#0 scales(%q#1) weights(%codes) weight_scales(%scales) {x_block = [1, 128], weight_block = [1, 128, 128]}
//
// Weights are quantized by recipe, while the artefact is written: both parts name the same values in high precision.
//
//===----------------------------------------------------------------------===//
#include "moe/Fuse/WeightTable.h"

namespace mlir::moe {
#define GEN_PASS_DEF_SPLITSCALED
#include "moe/Fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// The two parts of a scaled value, in memory order; `bank` makes the codes of a weight.
struct Parts {
  Value codes, scales;
  Bank bank;
};

class Splitter {
public:
  Splitter(ModuleOp module, int64_t panel) : panel(panel), weights(module), b(module), loc(module.getLoc()) {}

  LogicalResult split(Operation *op) {
    b.setInsertionPoint(op);
    loc = op->getLoc();
    if (auto quantize = dyn_cast<QuantizeOp>(op))
      parts[quantize.getResult()] = quantized(quantize.getInput(), cast<ScaledType>(quantize.getResult().getType()));
    else if (auto requantize = dyn_cast<RequantizeOp>(op))
      parts[requantize.getResult()] = requantized(requantize);
    else if (auto dequantize = dyn_cast<DequantizeOp>(op))
      dequantize.getResult().replaceAllUsesWith(
          values(dequantize.getInput(), cast<RankedTensorType>(dequantize.getResult().getType()).getElementType()));
    else if (auto product = dyn_cast<GroupedMatmulOp>(op))
      return split(product);
    else
      return op->emitOpError() << "expects no scaled value, which has no form here";
    return success();
  }

private:
  LogicalResult split(GroupedMatmulOp op) {
    if (auto type = dyn_cast<ScaledType>(op.getX().getType())) {
      Parts x = parts.lookup(op.getX());
      op.getXMutable().assign(x.codes);
      op.getXScalesMutable().assign(x.scales);
      op.setXBlock(type.getMemoryBlock());
    }
    auto type = dyn_cast<ScaledType>(op.getWeights().front().getType());
    if (!type)
      return success();
    SmallVector<Value> codes, scales;
    bool pack = panel > 0 && op.getPacked() == 0 &&
                llvm::all_of(op.getWeights(), [&](Value w) { return static_cast<bool>(parts.lookup(w).bank.recipe); });
    for (Value weight : op.getWeights()) {
      Parts w = parts.lookup(weight);
      codes.push_back(pack ? weights.materialize(b, loc, packBank(w.bank, panel)) : w.codes);
      scales.push_back(w.scales);
    }
    if (pack) {
      op.setColumns(type.getShape()[1]);
      op.setPacked(panel);
    }
    op.getWeightsMutable().assign(codes);
    op.getWeightScalesMutable().assign(scales);
    op.setWeightBlock(type.getMemoryBlock());
    return success();
  }

  Parts quantized(Value input, ScaledType type) {
    SmallVector<int64_t> block = type.getMemoryBlock();
    Bank bank = weights.bankOf(input);
    if (bank.recipe) {
      bank = inMemory(bank, type);
      Bank scales = scalesBank(bank, block, type.getElementType(), type.getScale());
      bank = quantizeBank(bank, scales, type.getElementType());
      return {weights.materialize(b, loc, bank), weights.materialize(b, loc, scales), bank};
    }
    input = inMemory(Bank{{}, input, {}}, type).value;
    auto split = QuantizeBlocksOp::create(b, loc, TypeRange{type.getCodesType(), type.getScalesType()}, input,
                                          ValueRange{}, block);
    return {split.getResults()[0], split.getResults()[1], {}};
  }

  /// The last two dims swapped where the layout asks for it. A value may have dynamic extents.
  Bank inMemory(Bank bank, ScaledType type) {
    if (type.getLayout() == ScaledLayout::Row)
      return bank;
    return swapped(bank);
  }
  Bank swapped(Bank bank) {
    SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, bank.type().getRank()));
    std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
    if (bank.recipe)
      return transposeBank(b, loc, bank, permutation);
    SmallVector<OpFoldResult> sizes = applyPermutation(tensor::getMixedSizes(b, loc, bank.value), permutation);
    Value init = tensor::EmptyOp::create(b, loc, sizes, bank.type().getElementType());
    bank.value = linalg::TransposeOp::create(b, loc, bank.value, init, permutation)->getResult(0);
    return bank;
  }

  Parts requantized(RequantizeOp op) {
    Bank source = op.getSource() ? weights.bankOf(op.getSource()) : Bank{{}, values(op.getInput(), b.getF32Type()), {}};
    auto type = cast<ScaledType>(op.getResult().getType());
    if (!op.getTransposed())
      return quantized(source.recipe ? Value(op.getSource()) : source.value, type);
    source = swapped(source);
    return quantized(source.recipe ? weights.materialize(b, loc, source) : source.value, type);
  }

  /// codes * scales, in the order of the shape.
  Value values(Value scaled, Type element) {
    auto type = cast<ScaledType>(scaled.getType());
    Parts p = parts.lookup(scaled);
    auto result = RankedTensorType::get(type.getCodesType().getShape(), element);
    Value out =
        DequantizeBlocksOp::create(b, loc, TypeRange{result}, p.codes, p.scales, ValueRange{}, type.getMemoryBlock())
            .getResults()[0];
    return inMemory(Bank{{}, out, {}}, type).value;
  }

private:
  int64_t panel;
  WeightTable weights;
  OpBuilder b;
  Location loc;
  DenseMap<Value, Parts> parts;
};

struct SplitScaled : moe::impl::SplitScaledBase<SplitScaled> {
  using Base::Base;

  void runOnOperation() override {
    if (panel < 0) {
      getOperation().emitError() << "expects panel >= 0, but it is " << panel;
      return signalPassFailure();
    }
    SmallVector<Operation *> ops;
    auto isScaled = [](Type type) { return isa<ScaledType>(type); };
    WalkResult walked = getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      for (Region &region : op->getRegions())
        for (Block &block : region)
          if (llvm::any_of(block.getArgumentTypes(), isScaled)) {
            op->emitOpError()
                << "expects no scaled values as arguments: they are made and read by moe ops of one function";
            return WalkResult::interrupt();
          }
      if (llvm::any_of(op->getOperandTypes(), isScaled) || llvm::any_of(op->getResultTypes(), isScaled))
        ops.push_back(op);
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();
    Splitter splitter(getOperation(), panel);
    for (Operation *op : ops) {
      if (failed(splitter.split(op)))
        return signalPassFailure();
      ++numSplit;
    }
    // Users come after what they use.
    for (Operation *op : llvm::reverse(ops))
      if (isa<QuantizeOp, RequantizeOp, DequantizeOp>(op))
        op->erase();
  }
};
} // namespace
