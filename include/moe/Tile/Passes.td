#ifndef MOE_TILE_PASSES_TD
#define MOE_TILE_PASSES_TD
include "mlir/Pass/PassBase.td"

def TileKernels : Pass<"moe-tile-kernels", "::mlir::ModuleOp"> {
  let summary = "Turn each kernel's operation into code over work items, once per instruction set";
  let description = [{
    Makes one module inside the module per variant, which holds the code of all kernels with two more arguments: the first
    item and the one past the last. The outer module keeps the kernels' declarations, and its launches say how many
    items there are.
  }];
  let options = [
    ListOption<"isas", "isas", "std::string", "instruction sets of the CPU variants: x86-64-v4, x86-64-v3">,
    Option<"gpu", "gpu", "bool", "false", "make one GPU module instead: one item is one thread">,
    Option<"grain", "grain", "int64_t", "32768", "scalar operations that one item of a plain loop kernel should have">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect", "::mlir::moe::tile::TileDialect"];
}

def VerifyTile : Pass<"moe-verify-tile", "::mlir::ModuleOp"> {
  let summary = "Check what the tile phase hands on: launches with item counts, kernels without linalg or moe ops";
  let description = [{
    Fails on a launch without an item count and on moe, linalg or tensor ops inside a variant, at their location.
  }];
}

#endif // MOE_TILE_PASSES_TD
