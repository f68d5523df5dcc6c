#ifndef MOE_LOWER_PASSES_TD
#define MOE_LOWER_PASSES_TD
include "mlir/Pass/PassBase.td"

def ExpandMath : Pass<"moe-expand-math"> {
  let summary = "Math functions become polynomials: compiled code calls no library";
  let description = [{
    exp in f32 is computed in f32 (error below 1 unit in the last place); everything else in f64 and rounded once, so that f32
    results are correct to about half a unit. sin and cos reduce their argument in three parts, good for |x| < 1e15.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect"];
}

def ExpandFloats : Pass<"moe-expand-floats"> {
  let summary = "16- and 8-bit floats become bits: computed in f32, rounded to nearest even";
  let description = [{
    Arithmetic on bf16, f16 and 8-bit floats is done in f32. Conversions of bf16 and the 8-bit formats become integer
    operations; f16 conversions stay, processors have them.
  }];
  let options = [Option<"nativeBf16", "native-bf16", "bool", "false", "conversions between bf16 and f32 stay: the processor has them (GPUs from sm_90 on)">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def LowerTile : Pass<"moe-lower-tile", "::mlir::ModuleOp"> {
  let summary = "The kernels of the tile dialect become Hopper instructions";
  let description = [{
    Places tiles and barriers in shared memory (`tile.shared_bytes` says how much), branches on warp roles, and writes every tile op
    in nvvm, llvm and inline PTX. Fragments become the scalars each thread holds. Functions without `tile.threads` are left alone.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::moe::tile::TileDialect"];
}

def LowerKernels : Pass<"moe-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Give kernels their calling convention: one block of arguments, a range of items, a return code";
  let description = [{
    On the CPU: int32 k(const void *args, int64 begin, int64 end), which reads pointers and extents from the block and calls the code.
    On a device the words of the block are parameters, followed by the number of items; a thread is an item.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect"];
}

def LowerHost : Pass<"moe-lower-host", "::mlir::ModuleOp"> {
  let summary = "The host program becomes the functions plan and run of the module ABI";
  let description = [{
    Also records, in the module attribute `moe.manifest`, what the manifest says about entries.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::scf::SCFDialect"];
}

def VerifyLower : Pass<"moe-verify-lower", "::mlir::ModuleOp"> {
  let summary = "Check what the lower phase hands on: the llvm dialect alone";
  let description = [{
    Upstream's conversions leave what they do not know standing without a word; this fails on it, at its location.
  }];
}

#endif // MOE_LOWER_PASSES_TD
