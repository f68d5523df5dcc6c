#ifndef TILE_TD
#define TILE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::mlir::moe::tile";
  let summary = "one GPU kernel: tiles in shared memory, asynchronous copies, matrix products on fragments, warp roles";
  let description = [{
    The code of one thread block (CTA) of a Hopper kernel, before it is written in instructions. Values are scalars (`i32` indices and
    parities), tiles in shared memory (`!tile.shared`), barriers, and fragments: tensors whose encoding `#tile.fragment` says
    which thread of a warpgroup (128 threads) holds which element. Loops and conditions are `scf`, arithmetic is `arith` and `math`, on
    fragments too. Nothing here knows about experts: kernels for dense, grouped and gathered products differ in the
    loops around the same ops.

    A kernel is a `func.func` with `tile.threads = N : i32`, a multiple of 32 up to 1024; its buffers are memref arguments. `moe-lower-tile` writes
    it in `nvvm` and `llvm`. What only the run knows (indices, offsets, parities) is the author's duty: alignments and ranges that a description
    states for such operands are not checked.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let hasOperationAttrVerify = 1;
}

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

def Tile_LayoutEnum : I32Enum<"Layout", "which thread of a warpgroup holds which element", [
    I32EnumCase<"Mma", 0, "mma">, I32EnumCase<"Half", 1, "half">, I32EnumCase<"Rows", 2, "rows">,
    I32EnumCase<"Columns", 3, "columns">]> {
  let cppNamespace = "::mlir::moe::tile";
}
def Tile_FragmentAttr : AttrDef<Tile_Dialect, "Fragment"> {
  let mnemonic = "fragment";
  let summary = "Register layout of a tensor spread over a warpgroup";
  let description = [{
    Thread t = 32 w + l of the warpgroup (warp w, lane l), q = l mod 4, r = l / 4:

    | layout | shape | elements of a thread, in order |
    |---|---|---|
    | `mma` | 64 x N | for each chunk j of 8 columns, d in {0, 1}, c in {0, 1}: row 16 w + 8 d + r, column 8 j + 2 q + c |
    | `half` | 32 x N | for each chunk j, c: row 8 w + r, column 8 j + 2 q + c |
    | `rows` | 64 | d in {0, 1}: row 16 w + 8 d + r (equal in the 4 threads of one r) |
    | `columns` | N | for each chunk j, c: column 8 j + 2 q + c (equal in the threads of one q) |

    N is a multiple of 8 up to 256; elements are integers or floats.
  }];
  let parameters = (ins EnumParameter<Tile_LayoutEnum>:$layout);
  let assemblyFormat = "`<` $layout `>`";
}

def Tile_SharedType : TypeDef<Tile_Dialect, "Shared"> {
  let mnemonic = "shared";
  let summary = "A tile in shared memory";
  let description = [{
    Row-major elements. `swizzle` marks tiles whose rows are 128 bytes and whose 16-byte pieces are permuted as Hopper's
    128-byte swizzle does: piece p of row r lies at p xor (r mod 8). Operands of `tile.mma` are swizzled.
    Example: `!tile.shared<4x256x128xf8E4M3FN, swizzle>`
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "bool":$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of the whole tile.
    int64_t getBytes();
    int64_t getElementBytes() { return getElementType().getIntOrFloatBitWidth() / 8; }
  }];
}

def Tile_BarriersType : TypeDef<Tile_Dialect, "Barriers"> {
  let mnemonic = "barriers";
  let summary = "An array of mbarriers in shared memory";
  let description = "As many as fit in shared memory, 8 bytes each.";
  let parameters = (ins "int64_t":$count);
  let assemblyFormat = "`<` $count `>`";
  let genVerifyDecl = 1;
}

def Tile_PendingType : TypeDef<Tile_Dialect, "Pending"> {
  let mnemonic = "pending";
  let summary = "A fragment that tensor cores are still writing";
  let description = "`tile.mma` starts it, `tile.mma_wait` ends it. An f32 fragment of layout `mma`.";
  let parameters = (ins "::mlir::RankedTensorType":$fragment);
  let assemblyFormat = "`<` $fragment `>`";
  let genVerifyDecl = 1;
}

def Tile_Fragment : Type<CPred<"::mlir::moe::tile::isFragment($_self)">, "tensor with a #tile.fragment encoding">;
def Tile_Word : Type<CPred<"::mlir::moe::tile::isWord($_self)">, "integer, float or vector of them of 1, 2, 4, 8 or 16 bytes">;
def Tile_Buffer : Type<CPred<"::mlir::moe::tile::isBuffer($_self)">, "memref of whole bytes in global memory, row-major">;
def Tile_Counter : Type<And<[CPred<"::mlir::moe::tile::isBuffer($_self)">,
    CPred<"::llvm::cast<::mlir::MemRefType>($_self).getElementType().isSignlessInteger(32)">]>, "memref of i32 in global memory, row-major">;

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// The kernel's frame
//===----------------------------------------------------------------------===//

def Tile_AllocOp : Tile_Op<"alloc"> {
  let summary = "A tile of shared memory, for the whole kernel";
  let description = [{
    Placed by `moe-lower-tile`: swizzled tiles at multiples of 1024 bytes, others of 128. All tiles and barriers together must fit
    in the chip's shared memory (232,448 bytes on sm_90).   (C1) stands in the entry block of the kernel.
  }];
  let results = (outs Tile_SharedType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_BarriersOp : Tile_Op<"barriers"> {
  let summary = "mbarriers, each complete after `arrivals` arrivals and the bytes it was told to expect";
  let description = "(C1) stands in the entry block of the kernel.   (C2) arrivals >= 1.";
  let arguments = (ins I32Attr:$arrivals);
  let results = (outs Tile_BarriersType:$result);
  let assemblyFormat = "$arrivals attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_StartOp : Tile_Op<"start"> {
  let summary = "Initialize all barriers of the kernel; all threads meet";
  let description = [{
    With `dependent`, the kernel then waits for what the stream ran before it (programmatic dependent launch) and lets the next kernel start.
    (C1) stands once, in the entry block.   (C2) behind all `tile.barriers`.
  }];
  let arguments = (ins UnitAttr:$dependent);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_RolesOp : Tile_Op<"roles", [NoTerminator, SingleBlock, RecursiveMemoryEffects]> {
  let summary = "Different code for different warps";
  let description = [{
    Region i runs in warps first[i] <= w < first[i + 1] (the last one up to the last warp); if single[i] is set, in lane 0 of the first of them
    alone. Before its region, warpgroup g sets its register budget to registers[g].
    (C1) first ascends from 0; one entry a region.   (C2) a region with warps of several warpgroups has them whole: it starts and ends at a
    multiple of 4 (or at the last warp).
    (C3) registers, one a warpgroup, are multiples of 8 from 24 to 240, equal in the warpgroups of one region; their sum is at most
    warpgroups * floor(65536 / threads / 8) * 8: a larger sum hangs the kernel. Empty: no budgets are set.
    (C4) stands in the entry block; one op at most sets budgets.   (C5) regions have no arguments and no terminator.
    (C6) the region of a single thread holds nothing that a warp does together (mma, max, store_matrix, sync_warp, ...).
  }];
  let arguments = (ins DenseI32ArrayAttr:$first, DenseBoolArrayAttr:$single, DenseI32ArrayAttr:$registers);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let assemblyFormat = "`warps` $first `single` $single `registers` $registers attr-dict-with-keyword $bodies";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Tile_IdKindEnum : I32Enum<"IdKind", "what a thread may ask for", [
    I32EnumCase<"Thread", 0, "thread">, I32EnumCase<"Lane", 1, "lane">, I32EnumCase<"Warp", 2, "warp">,
    I32EnumCase<"Warpgroup", 3, "warpgroup">, I32EnumCase<"Block", 4, "block">, I32EnumCase<"Blocks", 5, "blocks">]> {
  let cppNamespace = "::mlir::moe::tile";
}
def Tile_IdOp : Tile_Op<"id", [Pure]> {
  let summary = "Number of this thread in its block, lane in its warp, warp, warpgroup, block of the grid; number of blocks";
  let description = "Warp and warpgroup numbers are uniform: the compiler keeps them in uniform registers. May stand in code that part of a warp runs.";
  let arguments = (ins EnumAttr<Tile_Dialect, Tile_IdKindEnum, "id">:$kind);
  let results = (outs I32:$result);
  let assemblyFormat = "$kind attr-dict";
}

//===----------------------------------------------------------------------===//
// Synchronization
//===----------------------------------------------------------------------===//

def Tile_WaitOp : Tile_Op<"wait"> {
  let summary = "Wait until the phase of `parity` of a barrier is complete";
  let arguments = (ins Tile_BarriersType:$barriers, I32:$index, I32:$parity);
  let assemblyFormat = "$barriers `[` $index `]` `,` $parity attr-dict `:` type($barriers)";
}
def Tile_ArriveOp : Tile_Op<"arrive"> {
  let summary = "Arrive at a barrier";
  let description = "With `warp`, once for the warp (its lane 0, after the warp has converged); else once for each thread.";
  let arguments = (ins Tile_BarriersType:$barriers, I32:$index, UnitAttr:$warp);
  let assemblyFormat = "$barriers `[` $index `]` attr-dict `:` type($barriers)";
}
def Tile_ExpectOp : Tile_Op<"expect"> {
  let summary = "Arrive at a barrier and announce bytes of asynchronous copies";
  let arguments = (ins Tile_BarriersType:$barriers, I32:$index, I32:$bytes);
  let assemblyFormat = "$barriers `[` $index `]` `,` $bytes attr-dict `:` type($barriers)";
}
def Tile_SyncOp : Tile_Op<"sync"> {
  let summary = "`threads` threads of the block meet at hardware barrier `id` (0 to 15)";
  let description = "(C1) threads is a multiple of 32 up to 1024.";
  let arguments = (ins I32:$id, I32Attr:$threads);
  let assemblyFormat = "$id `,` $threads attr-dict";
  let hasVerifier = 1;
}
def Tile_SyncWarpOp : Tile_Op<"sync_warp"> {
  let summary = "The threads of a warp meet; what they wrote to shared memory is visible among them";
  let assemblyFormat = "attr-dict";
}
def Tile_FenceAsyncOp : Tile_Op<"fence_async"> {
  let summary = "Order this thread's ordinary accesses before later ones of the asynchronous proxy (tensor cores, bulk copies)";
  let assemblyFormat = "attr-dict";
}
def Tile_SignalOp : Tile_Op<"signal"> {
  let summary = "Publish what this thread (and all that met with it before) wrote to global memory: add 1 to a counter";
  let description = "counter: i32 elements in global memory. Release order at the GPU's scope; `amount` of them must be awaited.";
  let arguments = (ins Tile_Counter:$counter, I32:$index);
  let assemblyFormat = "$counter `[` $index `]` attr-dict `:` type($counter)";
}
def Tile_AwaitOp : Tile_Op<"await"> {
  let summary = "Spin until a counter in global memory is at least `amount`; what was published before is then visible to bulk copies too";
  let arguments = (ins Tile_Counter:$counter, I32:$index, I32:$amount);
  let assemblyFormat = "$counter `[` $index `]` `,` $amount attr-dict `:` type($counter)";
}
def Tile_AtomicAddOp : Tile_Op<"atomic_add"> {
  let summary = "Add to an i32 in global memory; the value before";
  let description = "Relaxed, or with `ordered` acquire and release at the GPU's scope.";
  let arguments = (ins Tile_Counter:$counter, I32:$index, I32:$amount, UnitAttr:$ordered);
  let results = (outs I32:$result);
  let assemblyFormat = "$counter `[` $index `]` `,` $amount attr-dict `:` type($counter)";
}

def Tile_ShuffleKindEnum : I32Enum<"ShuffleKind", "whose value a lane gets", [
    I32EnumCase<"Index", 0, "index">, I32EnumCase<"Xor", 1, "xor">, I32EnumCase<"Up", 2, "up">]> {
  let cppNamespace = "::mlir::moe::tile";
}
def Tile_ShuffleOp : Tile_Op<"shuffle", [AllTypesMatch<["value", "result"]>]> {
  let summary = "The value of another lane of the warp: lane `lane`, own lane xor `lane`, or own lane minus `lane`";
  let description = "All 32 lanes take part. `up` keeps the own value where there is no such lane.";
  let arguments = (ins EnumAttr<Tile_Dialect, Tile_ShuffleKindEnum, "shuffle">:$kind, AnyTypeOf<[I32, F32]>:$value, I32:$lane);
  let results = (outs AnyTypeOf<[I32, F32]>:$result);
  let assemblyFormat = "$kind $value `,` $lane attr-dict `:` type($value)";
}
def Tile_ReduceKindEnum : I32Enum<"ReduceKind", "how the lanes' unsigned integers combine", [
    I32EnumCase<"Add", 0, "add">, I32EnumCase<"Min", 1, "min">, I32EnumCase<"Max", 2, "max">]> {
  let cppNamespace = "::mlir::moe::tile";
}
def Tile_ReduceOp : Tile_Op<"reduce"> {
  let summary = "Sum, least or largest of the 32 lanes' unsigned integers, in every lane";
  let description = "All 32 lanes take part.";
  let arguments = (ins EnumAttr<Tile_Dialect, Tile_ReduceKindEnum, "reduce">:$kind, I32:$value);
  let results = (outs I32:$result);
  let assemblyFormat = "$kind $value attr-dict";
}
def Tile_PublishOp : Tile_Op<"publish"> {
  let summary = "Store an i32 to global memory with release order: whoever awaits it sees what this thread wrote before";
  let arguments = (ins I32:$value, Tile_Counter:$counter, I32:$index);
  let assemblyFormat = "$value `,` $counter `[` $index `]` attr-dict `:` type($counter)";
}
def Tile_AwaitChangeOp : Tile_Op<"await_change"> {
  let summary = "Spin until an i32 in global memory is not `value`; what was published before is then visible";
  let arguments = (ins Tile_Counter:$counter, I32:$index, I32:$value);
  let assemblyFormat = "$counter `[` $index `]` `,` $value attr-dict `:` type($counter)";
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Tile_ViewOp : Tile_Op<"view", [Pure]> {
  let summary = "A part of a tile, cut or taken from its leading dim";
  let description = [{
        result = source[index * unit : index * unit + rows, ...]      or, without the leading dim,  source[index, ...]
    (C1) both have one element type and swizzle.   (C2) the trailing dims agree: result is [rows, ...] with rows up to the source's, or drops the
    leading dim; then unit is 1.   (C3) a swizzled part starts at a multiple of 8 rows of 128 bytes.
  }];
  let arguments = (ins Tile_SharedType:$source, I32:$index, I64Attr:$unit);
  let results = (outs Tile_SharedType:$result);
  let assemblyFormat = "$source `[` $index `x` $unit `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def Tile_CopyBulkOp : Tile_Op<"copy_bulk"> {
  let summary = "Copy contiguous bytes from global to shared memory asynchronously; they count at a barrier";
  let description = [{
    `offset` (bytes, i64) into `source` and `bytes` are multiples of 16. One thread issues it.
  }];
  let arguments = (ins Tile_Buffer:$source, I64:$offset, Tile_SharedType:$target, Tile_BarriersType:$barriers, I32:$index, I32:$bytes);
  let assemblyFormat = [{
    $source `[` $offset `]` `to` $target `,` $barriers `[` $index `]` `bytes` $bytes attr-dict `:` type($source) `to` type($target) `,` type($barriers)
  }];
}

def Tile_CopyBoxOp : Tile_Op<"copy_box"> {
  let summary = "Copy a box of a tensor from global to shared memory asynchronously (Hopper's TMA); its bytes count at a barrier";
  let description = [{
    `source` is an argument of the kernel with `moe.tensor_map`, which says the box's extents; `position` (elements, one number for each dim) is
    where the box begins. What lies outside the tensor, before or behind it, arrives as zeros and counts too. One thread issues it. Only a
    kernel that says how it is launched (`moe.launch_config`) has such arguments.

        tile.copy_box %map[%row, %k] to %stage, %full[%s] : memref<?x1024xbf16> to !tile.shared<128x64xbf16, swizzle>, !tile.barriers<4>

    (C1) source is such an argument of such a kernel.   (C2) position has its rank.   (C3) the box has the bytes and the element size of target.
    (C4) the map's swizzle is 128 bytes where target is swizzled, else 0.
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<I32>:$position, Tile_SharedType:$target, Tile_BarriersType:$barriers, I32:$index);
  let assemblyFormat = [{
    $source `[` $position `]` `to` $target `,` $barriers `[` $index `]` attr-dict `:` type($source) `to` type($target) `,` type($barriers)
  }];
  let hasVerifier = 1;
}

def Tile_CopyGatherOp : Tile_Op<"copy_gather"> {
  let summary = "This thread copies 16 bytes from global to shared memory asynchronously (Hopper's bulk copies cannot gather rows)";
  let description = [{
    Copies source[offset, offset + 16) (bytes, a multiple of 16) to row `row`, piece `piece` (0 to 7) of the tile, permuted as its type says.
    `tile.arrive_copies` then makes a barrier count the copies of this thread; readers of the asynchronous proxy need `tile.fence_async` after
    they waited.   (C1) target is swizzled.
  }];
  let arguments = (ins Tile_Buffer:$source, I64:$offset, Tile_SharedType:$target, I32:$row, I32:$piece);
  let assemblyFormat = "$source `[` $offset `]` `to` $target `[` $row `,` $piece `]` attr-dict `:` type($source) `to` type($target)";
  let hasVerifier = 1;
}
def Tile_ArriveCopiesOp : Tile_Op<"arrive_copies"> {
  let summary = "Arrive at a barrier when all `tile.copy_gather` of this thread are complete";
  let arguments = (ins Tile_BarriersType:$barriers, I32:$index);
  let assemblyFormat = "$barriers `[` $index `]` attr-dict `:` type($barriers)";
}

def Tile_ReadOp : Tile_Op<"read"> {
  let summary = "Read a scalar or vector from shared memory; `index` counts elements of the tile";
  let description = "The address is a multiple of the result's size.";
  let arguments = (ins Tile_SharedType:$source, I32:$index);
  let results = (outs Tile_Word:$result);
  let assemblyFormat = "$source `[` $index `]` attr-dict `:` type($source) `->` type($result)";
}
def Tile_WriteOp : Tile_Op<"write"> {
  let summary = "Write a scalar or vector to shared memory; `index` counts elements of the tile";
  let arguments = (ins Tile_Word:$value, Tile_SharedType:$target, I32:$index);
  let assemblyFormat = "$value `,` $target `[` $index `]` attr-dict `:` type($value) `,` type($target)";
}
def Tile_LoadOp : Tile_Op<"load"> {
  let summary = "Load a scalar or vector from global memory; `index` counts elements of the buffer";
  let description = [{
    The address is a multiple of the result's size. `constant`: nothing writes the buffer while the kernel runs, nor did the kernel before it if the
    start is `dependent` (the compiler may load it before that wait).
  }];
  let arguments = (ins Tile_Buffer:$source, I64:$index, UnitAttr:$constant);
  let results = (outs Tile_Word:$result);
  let assemblyFormat = "$source `[` $index `]` attr-dict `:` type($source) `->` type($result)";
}
def Tile_StoreOp : Tile_Op<"store"> {
  let summary = "Store a scalar or vector to global memory; `index` counts elements of the buffer";
  let arguments = (ins Tile_Word:$value, Tile_Buffer:$target, I64:$index);
  let assemblyFormat = "$value `,` $target `[` $index `]` attr-dict `:` type($value) `,` type($target)";
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

def Tile_MmaOp : Tile_Op<"mma", [AttrSizedOperandSegments]> {
  let summary = "Matrix products of a warpgroup: one group of asynchronous tensor-core instructions";
  let description = [{
        pending_i[m, n] = sum_k a_i[m, k] * b_i[n, k]   (+ accumulators_i[m, n])

    a_i: swizzled 64 x K tiles, b_i: swizzled N x K tiles with K * element size = 128 bytes. Without accumulators sums start at zero; `reuse`
    names fragments whose registers the result may take (their values are lost): consecutive groups that share temporaries do not spill.
    FP8 sums are kept at about 14 bits by the hardware: promote them every 128.
    With `transposed` the tiles have K leading, as rows in memory have that are summed over: a_i [K, 64] and b_i [N / 64, K, 64], element (n, k) at
    [n / 64, k, n mod 64].
    (C1) as many b as a as results.   (C2) shapes as above; N a multiple of 8 up to 256; both of f8E4M3FN or f8E5M2, both bf16 or both f16.   (C3) accumulators or reuse, not both,
    one a product, of the result's fragment type.   (C4) transposed: elements of 16 bits, K a multiple of 16, N one of 64 up to 256.
  }];
  let arguments = (ins Variadic<Tile_SharedType>:$a, Variadic<Tile_SharedType>:$b, Variadic<Tile_Fragment>:$accumulators,
      Variadic<Tile_Fragment>:$reuse, UnitAttr:$transposed);
  let results = (outs Variadic<Tile_PendingType>:$pending);
  let assemblyFormat = [{
    $a `by` $b (`accumulators` `(` $accumulators^ `)`)? (`reuse` `(` $reuse^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Tile_MmaWaitOp : Tile_Op<"mma_wait"> {
  let summary = "Wait for products; defines their values";
  let description = "At most `in_flight` later groups stay unfinished; what comes of one that may be is read by nothing but later products, as accumulators.   (C1) one operand at least; results are the operands' fragments.   (C2) in_flight is 0 to 7.";
  let arguments = (ins Variadic<Tile_PendingType>:$pending, DefaultValuedAttr<I32Attr, "0">:$in_flight);
  let results = (outs Variadic<Tile_Fragment>:$fragments);
  let assemblyFormat = "$pending attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tile_PromoteOp : Tile_Op<"promote", [Pure, AllTypesMatch<["partial", "sum", "result"]>]> {
  let summary = "Add scaled partial sums in f32: sum + partial * (rows x columns)";
  let description = [{
        result[m, n] = fma(partial[m, n], rows[m] * columns[n], sum[m, n])
    (C1) partial, sum and result have one f32 `mma` fragment type.   (C2) rows and columns have its shapes.
    `pin` fixes the sums here: nothing of later products starts before them (without, two temporaries are live and spill).
  }];
  let arguments = (ins Tile_Fragment:$partial, Tile_Fragment:$sum, Tile_Fragment:$rows, Tile_Fragment:$columns, UnitAttr:$pin);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$partial `,` $sum `rows` $rows `columns` $columns attr-dict `:` type($partial) `,` type($rows) `,` type($columns)";
  let hasVerifier = 1;
}

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "A fragment of one value; of `rows` or `columns`, of several values that alternate every 8";
  let description = "result[i] = values[(i / 8) mod #values].   (C1) one value, or two for the layouts rows and columns.   (C2) of the result's elements.";
  let arguments = (ins Variadic<AnyType>:$values);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$values attr-dict `:` type($values) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReadVectorOp : Tile_Op<"read_vector"> {
  let summary = "Read a `rows` or `columns` fragment from a vector in shared memory, from element `index` on";
  let description = [{
    For `columns` the address is a multiple of two elements.
    (C1) layout rows or columns.   (C2) one element type, that of the tile, of 1, 2, 4 or 8 bytes; the tile is not swizzled and not smaller than the result.
  }];
  let arguments = (ins Tile_SharedType:$source, I32:$index);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$source `[` $index `]` attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_WriteVectorOp : Tile_Op<"write_vector"> {
  let summary = "Write a `rows` or `columns` fragment to a vector in shared memory, from element `index` on";
  let description = [{
    `columns`: every warp writes all elements (warps that share a target must hold equal values, or write to places of their own).
    `rows`: each warp writes the 16 rows it holds.   (C1), (C2) as `tile.read_vector`.
  }];
  let arguments = (ins Tile_Fragment:$fragment, Tile_SharedType:$target, I32:$index);
  let assemblyFormat = "$fragment `,` $target `[` $index `]` attr-dict `:` type($fragment) `,` type($target)";
  let hasVerifier = 1;
}

def Tile_SelectRowsOp : Tile_Op<"select_rows", [Pure]> {
  let summary = "Every other group of 8 rows of an `mma` fragment: a `half` fragment";
  let description = "result[8 i + r, n] = source[16 i + 8 half + r, n].   (C1) half is 0 or 1.   (C2) from [64, N] of layout mma to [32, N] of layout half.";
  let arguments = (ins Tile_Fragment:$source, I32Attr:$half);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$source `half` $half attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}
def Tile_SelectColumnsOp : Tile_Op<"select_columns", [Pure]> {
  let summary = "Some groups of 8 columns of a fragment";
  let description = "result[m, 8 i + c] = source[m, 8 (first + step i) + c].   (C1) one layout, mma or half, and element type.   (C2) all lie in the source.";
  let arguments = (ins Tile_Fragment:$source, I32Attr:$first, I32Attr:$step);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$source `first` $first `step` $step attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_MapOp : Tile_Op<"map", [SingleBlock, Pure, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "An epilogue: one scalar function for every element of fragments";
  let description = [{
    The region gets one scalar an operand and yields one a result. An operand of layout `rows` or `columns` broadcasts. exp and division inside
    use the hardware's approximate instructions (2 ulp).
    (C1) one region argument an operand, of its elements; it yields the results' elements, which have one shape and layout.
    (C2) operands of the results' layout have their shape; others broadcast along one of its dims: `columns`, and `rows` to `mma`.
    (C3) the region's ops have no effects, no regions, and one scalar result.
  }];
  let arguments = (ins Variadic<Tile_Fragment>:$operands_);
  let results = (outs Variadic<Tile_Fragment>:$results_);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$operands_ attr-dict `:` functional-type(operands, results) $body";
  let hasRegionVerifier = 1;
}
def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"MapOp">]> {
  let summary = "Ends the region of `tile.map`";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
}

def Tile_MaxOp : Tile_Op<"max"> {
  let summary = "Largest absolute value in each row or column, over the threads of a warp";
  let description = [{
    Fragments of one shape, joined. Result of layout `rows`: over all columns (complete). Result of layout `columns`: over the rows this warp holds; combine warps
    with `tile.max_warps`. NaN is ignored unless all are NaN. `init` is the least result.
    (C1) operands are `mma` or `half` of one f32 type.   (C2) the result is f32: the rows of an `mma` fragment, or the columns.
  }];
  let arguments = (ins Variadic<Tile_Fragment>:$fragments, F32Attr:$init);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$fragments `init` $init attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tile_PackOp : Tile_Op<"pack", [Pure, AllTypesMatch<["lo", "hi"]>]> {
  let summary = "Two f32 fragments as one fragment of pairs of 8-bit floats: low byte `lo`, high byte `hi`";
  let description = "Rounds to nearest even and saturates. Pairs are i16 elements.   (C1) f32 to i16, one shape and layout.   (C2) format is f8E4M3FN or f8E5M2.";
  let arguments = (ins Tile_Fragment:$lo, Tile_Fragment:$hi, TypeAttr:$format);
  let results = (outs Tile_Fragment:$result);
  let assemblyFormat = "$lo `,` $hi `as` $format attr-dict `:` type($lo) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_CodesOp : Tile_Op<"codes", [Pure]> {
  let summary = "Four f32 as four 8-bit floats in one i32, the first in its low byte";
  let description = "Rounds to nearest even and saturates.   (C1) format is f8E4M3FN or f8E5M2.";
  let arguments = (ins F32:$a, F32:$b, F32:$c, F32:$d, TypeAttr:$format);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b `,` $c `,` $d `as` $format attr-dict";
  let hasVerifier = 1;
}

def Tile_StoreMatrixOp : Tile_Op<"store_matrix"> {
  let summary = "Write a fragment of 16-bit elements to shared memory";
  let description = [{
        target[row + m, column + n] = fragment[m, n];      transposed: target[row + n, column + m]
    for the 16 (8 for `half`) rows m of this warp, where m counts from the warp's own first row. f32 fragments are rounded to
    bf16. `offset` counts elements of the tile and is the place of [row, column], at a multiple of 16 bytes; `stride` is the distance of target rows in bytes.
    (C1) i16 or f32 fragment of layout mma or half.   (C2) stride is a multiple of 16 from 16 on.   (C3) target is not swizzled.
  }];
  let arguments = (ins Tile_Fragment:$fragment, Tile_SharedType:$target, I32:$offset, I32Attr:$stride, UnitAttr:$transposed);
  let assemblyFormat = "$fragment `,` $target `[` $offset `]` `stride` $stride attr-dict `:` type($fragment) `,` type($target)";
  let hasVerifier = 1;
}

def Tile_StoreFragmentOp : Tile_Op<"store_fragment"> {
  let summary = "Store what lies inside a matrix of a fragment to global memory";
  let description = [{
        target[offset + m * stride + n] = fragment[m, n]     for the m < rows and n < columns of the fragment
    Rounds once, to nearest even, to the target's elements. `offset` (elements) is a multiple of 2, `columns` one of 8; rows and columns may be
    larger than the fragment, and nothing is stored where one is 0 or less.
    (C1) an f32 fragment of layout mma.   (C2) target holds f32, bf16 or f16.   (C3) stride (elements) is a positive multiple of 2.
  }];
  let arguments = (ins Tile_Fragment:$fragment, Tile_Buffer:$target, I64:$offset, I32:$rows, I32:$columns, I64Attr:$stride);
  let assemblyFormat = "$fragment `,` $target `[` $offset `]` `rows` $rows `columns` $columns `stride` $stride attr-dict `:` type($fragment) `,` type($target)";
  let hasVerifier = 1;
}

#endif // TILE_TD
