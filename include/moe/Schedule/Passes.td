#ifndef MOE_SCHEDULE_PASSES_TD
#define MOE_SCHEDULE_PASSES_TD
include "mlir/Pass/PassBase.td"

def PlanExperts : Pass<"moe-plan-experts", "::mlir::ModuleOp"> {
  let summary = "Expert layers in FP8 blocks, bf16 or f16 become the four kernels of their plan on Hopper";
  let description = [{
    Finds router, dispatch, two grouped products (in FP8 with a quantized value between them), and combine, and makes of them `moe.route_rows`,
    `moe.quantize_rows` or `moe.copy_rows`, `moe.expert_products` and `moe.combine`, with the weights in the layout the kernel streams. Layers of another
    shape or format keep their plain kernels; a remark says why.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::moe::MoeDialect"];
}

def PlanFeedForward : Pass<"moe-plan-feed-forward", "::mlir::ModuleOp"> {
  let summary = "Dense gated networks in FP8 blocks, bf16 or f16 run as expert layers of one group on Hopper";
  let description = [{
    Finds gate and up product, activation and down product of shared experts and dense layers, with a result of 16 bits and perhaps a residual, and
    makes of them `moe.list_rows`, `moe.quantize_rows` or `moe.copy_rows`, `moe.expert_products` and `moe.combine`. Others are left to `moe-plan-products`.
  }];
  let statistics = [Statistic<"numNetworks", "networks", "Networks that became one plan">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::moe::MoeDialect"];
}

def PlanProducts : Pass<"moe-plan-products", "::mlir::ModuleOp"> {
  let summary = "Products of rows by constant weights in FP8 blocks, bf16 or f16 become kernels of Hopper's tensor cores";
  let description = [{
    Each `moe.grouped_matmul`, dense or grouped, becomes `moe.list_rows`, `moe.quantize_rows` (bf16 and f16: `moe.copy_rows`) and `moe.row_product`; one of
    several weights a `moe.row_product` for each. Products of fewer than 64 columns or sums of fewer than 64 elements do not pay and keep their plain kernel;
    of those in FP8, and of FP8 in another form, a remark says so.
  }];
  let statistics = [Statistic<"numProducts", "products", "Products that became kernels of the tensor cores">];
  let dependentDialects = ["::mlir::moe::MoeDialect"];
}

def PrepareBuffers : Pass<"moe-prepare-buffers", "::mlir::func::FuncOp"> {
  let summary = "Rewrite tensor ops that bufferize badly: concat, reshape by a list of sizes, scalar operands";
  let description = [{
    A concatenation writes each part into its slice of one tensor; a reshape whose sizes are data becomes collapse and expand; a tensor of one
    element that only passes a scalar on becomes the scalar. Each would otherwise cost a copy, or a store and a load.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def Bufferize : Pass<"moe-bufferize", "::mlir::ModuleOp"> {
  let summary = "Tensors become buffers: upstream's one-shot bufferization, with moe ops writing into `outs`";
  let description = [{
    Function arguments and weights are never written. Results keep their contiguous layout.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def CheckExtents : Pass<"moe-check-extents", "::mlir::func::FuncOp"> {
  let summary = "Compare extents that ops assume to agree and that are not provably equal";
  let description = [{
    Writes a comparison and a cf.assert in front of each op on buffers; canonicalization removes those that always hold. A
    program run with inputs that do not fit together ends in one message that names the node.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::memref::MemRefDialect"];
}

def PlaceOutputs : Pass<"moe-place-outputs", "::mlir::func::FuncOp"> {
  let summary = "Compute outputs where the caller wants them; copy only what cannot be";
  let description = [{
    Marks the memref.alloc that holds output K with `moe.output = K`. A result that is an argument, a weight, part of a
    buffer, or a buffer that is another output already, is copied into a new buffer that is marked.
  }];
  let statistics = [Statistic<"numCopies", "copies", "Outputs that needed a copy">];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def CollapseLoops : Pass<"moe-collapse-loops", "::mlir::func::FuncOp"> {
  let summary = "Merge the dims of linalg ops on buffers that all operands walk through together";
  let description = [{
    Dims that follow each other in every operand and are contiguous there become one: fewer, longer loops, and more equal kernels.
  }];
  let statistics = [Statistic<"numCollapsed", "collapsed", "Ops with fewer loops than before">];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect"];
}

def OutlineKernels : Pass<"moe-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Every compute op becomes a kernel function with one moe.launch per use; equal kernels are one";
  let description = [{
    A kernel holds one op; what it reads and writes are its arguments, constants move into it. Kernels of one text are made once, so compile
    time follows the number of distinct kernels. An op that copies a buffer onto itself is dropped.
  }];
  let statistics = [Statistic<"numLaunches", "launches", "Launches made">,
                    Statistic<"numKernels", "kernels", "Distinct kernels">];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect", "::mlir::moe::MoeDialect"];
}

def PlanBuffers : Pass<"moe-plan-buffers", "::mlir::func::FuncOp"> {
  let summary = "Give every temporary whose size the inputs' extents decide a number and a lifetime";
  let description = [{
    Marks such a memref.alloc with `moe.temporary = [number, first launch, last launch]`. What is left unmarked is
    allocated while the program runs.
  }];
  let statistics = [Statistic<"numTemporaries", "temporaries", "Planned temporaries">,
                    Statistic<"numDynamic", "dynamic", "Buffers whose size only data decide">];
}

def VerifySchedule : Pass<"moe-verify-schedule", "::mlir::ModuleOp"> {
  let summary = "Check what the schedule phase hands on: a host program of launches and views, kernels that compute";
  let description = [{
    Fails on anything in the host program but launches, views, allocations and scalar arithmetic, on tensors, and on kernels
    that compute nothing, at their location.
  }];
}

#endif // MOE_SCHEDULE_PASSES_TD
