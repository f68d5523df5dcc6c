//===- AttentionNodes.cpp - onnx.Attention becomes moe.attention -----------===//
//
//   onnx.Attention(%q, %k, %v, %mask, %past_k, %past_v) {is_causal = 1, q_num_heads = 4, kv_num_heads = 2}
//     ->  heads split and brought to the front where inputs have rank 3; Concat of past and new keys and values;
//         is_causal and windows as a condition on positions, which becomes an attribute where query i stands at i + (L - S)
//
// A bool mask adds 0 or -inf; a mask that may be shorter than the keys is filled up with -inf. A row without any key is
// zero in both.
//===----------------------------------------------------------------------===//
#include "AttentionParts.h"

#include "dialects/moe/Moe.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType typeOf(Value v) { return OnnxBuild::typeOf(v); }

/// [B, S, heads * D] as [B, heads, S, D]; rank 4 stays.
static Value splitHeads(OnnxBuild &build, Value v, int64_t heads) {
  auto type = typeOf(v);
  if (type.getRank() == 4)
    return v;
  int64_t width = type.getDimSize(2) / heads;
  Value split = build.reshape(v, {0, 0, heads, width}, {type.getDimSize(0), type.getDimSize(1), heads, width});
  return build.transpose(split, {0, 2, 1, 3});
}

/// [S, L] bool: which key positions each query position reaches. Query i stands at i + offset.
static Value reaches(OnnxBuild &build, Value query, Value key, Value past, bool causal, int64_t left, int64_t right) {
  Value i = build.unsqueeze(build.range(build.extent(query, 2)), {1});
  Value j = build.unsqueeze(build.range(build.extent(key, 2)), {0});
  if (past)
    i = build.binary<onnx::AddOp>(i, build.extent(past, 2));
  Value all;
  auto also = [&](Value c) { all = all ? build.binary<onnx::AndOp>(all, c) : c; };
  if (causal)
    also(build.compare<onnx::LessOrEqualOp>(j, i));
  if (left >= 0)
    also(build.compare<onnx::GreaterOrEqualOp>(j, build.binary<onnx::SubOp>(i, build.scalarInt(left))));
  if (right >= 0)
    also(build.compare<onnx::LessOrEqualOp>(j, build.binary<onnx::AddOp>(i, build.scalarInt(right))));
  return all;
}

LogicalResult moe::convertAttentionNode(onnx::AttentionOp op, ShapeFacts &facts, RewriterBase &rewriter,
                                        std::string &reason) {
  auto no = [&](const Twine &why) {
    reason = why.str();
    return failure();
  };
  Value q = op.getQ(), k = op.getK(), v = op.getV(), mask = op.getAttnMask();
  int64_t rank = typeOf(q).getRank();
  if ((rank != 3 && rank != 4) || typeOf(k).getRank() != rank || typeOf(v).getRank() != rank)
    return no("its inputs are not all of rank 3 or all of rank 4");
  if (op.getNonpadKvSeqlen())
    return no("it is told the number of valid keys of each batch");
  if (op.getQkMatmulOutput() && !op.getQkMatmulOutput().use_empty())
    return no("its scores are read");
  if (static_cast<bool>(op.getPastKey()) != static_cast<bool>(op.getPastValue()))
    return no("it has past keys or past values alone");
  int64_t qHeads = rank == 4 ? typeOf(q).getDimSize(1) : op.getQNumHeads().value_or(0);
  int64_t kvHeads = rank == 4 ? typeOf(k).getDimSize(1) : op.getKvNumHeads().value_or(0);
  if (qHeads < 1 || kvHeads < 1 || qHeads % kvHeads)
    return no("its numbers of heads are not static, or do not divide");
  if (rank == 3)
    for (auto [x, heads] : {std::pair(q, qHeads), {k, kvHeads}, {v, kvHeads}})
      if (ShapedType::isDynamic(typeOf(x).getDimSize(2)) || typeOf(x).getDimSize(2) % heads)
        return no("its width is not static, or not a multiple of its heads");
  if (rank == 4 && typeOf(v).getDimSize(1) != kvHeads)
    return no("keys and values have different heads");
  int64_t features = rank == 4 ? typeOf(q).getDimSize(3) : typeOf(q).getDimSize(2) / qHeads;
  if (!op.getScale() && features < 1)
    return no("its scale depends on a width that is not static");
  double scale = op.getScale() ? *op.getScale() : 1 / std::sqrt(static_cast<double>(features));
  if (op.getSoftcap() < 0)
    return no("its softcap is negative");
  if (mask && typeOf(mask).getRank() > 4)
    return no("its mask has more than 4 dims");
  int64_t left = op.getLeftWindowSize(), right = op.getRightWindowSize();

  rewriter.setInsertionPoint(op);
  OnnxBuild build{rewriter, op.getLoc()};
  Value query = splitHeads(build, q, qHeads), key = splitHeads(build, k, kvHeads),
        value = splitHeads(build, v, kvHeads);
  if (op.getPastKey()) {
    key = build.concat({op.getPastKey(), key}, 2);
    value = build.concat({op.getPastValue(), value}, 2);
  }
  ArrayRef<AffineExpr> queryShape = facts.shape(query), keyShape = facts.shape(key), valueShape = facts.shape(value);
  SmallVector<AffineExpr> extents = {queryShape[0], queryShape[1], queryShape[2],
                                     keyShape[2],   queryShape[3], valueShape[3]};
  MLIRContext *context = op.getContext();
  ElementFacts elements(facts, context, extents);
  AffineExpr b = elements.dim(kBatch), h = elements.dim(kHead), i = elements.dim(kQuery), j = elements.dim(kKey);
  AffineExpr kvHead = elements.simplify(h.floorDiv(qHeads / kvHeads));
  // Dims of extent 1 have no index.
  auto placed = [&](Value value, ArrayRef<AffineExpr> index) {
    Placed at{value, Index(index)};
    for (auto [k, extent] : llvm::enumerate(facts.shape(value)))
      if (extent == elements.constant(1))
        at.index[k] = elements.constant(0);
    return at;
  };
  FoundAttention found;
  found.product = found.softmax = op;
  found.heads = qHeads;
  found.scale = scale;
  found.softcap = op.getSoftcap();
  found.query = placed(query, {b, h, i, elements.dim(kFeature)});
  found.key = placed(key, {b, kvHead, j, elements.dim(kFeature)});
  found.value = placed(value, {b, kvHead, j, elements.dim(kValueFeature)});

  // Positions that the attributes exclude, and the mask, as conditions and addends over the index space.
  bool causal = op.getIsCausal() || right == 0;
  if (causal || left >= 0 || right > 0) {
    Value reached = reaches(build, query, key, op.getPastKey(), causal, left, causal ? -1 : right);
    found.masks.push_back({placed(reached, {i, j}), 1, -INFINITY, /*dropsWhereTrue=*/false});
  }
  if (mask) {
    mask = build.unsqueeze(mask, llvm::to_vector(llvm::seq<int64_t>(0, 4 - typeOf(mask).getRank())));
    Type maskElement = typeOf(mask).getElementType();
    bool isCondition = maskElement.isInteger(1);
    if (!facts.equal(facts.shape(mask)[3], keyShape[2])) {
      // Positions that the mask does not reach are masked. Their number is only known when the program runs.
      Value missing = build.unsqueeze(build.binary<onnx::SubOp>(build.extent(key, 2), build.extent(mask, 3)), {0});
      SmallVector<Value> sizes;
      for (int64_t d = 0; d < 3; ++d)
        sizes.push_back(build.unsqueeze(build.extent(mask, d), {0}));
      sizes.push_back(missing);
      SmallVector<int64_t> fillShape(typeOf(mask).getShape()), wholeShape(fillShape);
      fillShape[3] = ShapedType::kDynamic;
      wholeShape[3] = typeOf(key).getDimSize(2);
      Attribute number =
          isCondition ? Attribute(rewriter.getBoolAttr(false)) : rewriter.getFloatAttr(maskElement, -INFINITY);
      Value fill =
          onnx::ConstantOfShapeOp::create(rewriter, op.getLoc(), typeOf(mask).clone(fillShape), build.concat(sizes, 0),
                                          DenseElementsAttr::get(RankedTensorType::get({1}, maskElement), number));
      mask = build.concat({mask, fill}, 3);
      // Its extent is that of the keys, which only this code knows.
      found.keyMask = mask;
      found.keyMaskIsCondition = isCondition;
    } else {
      for (auto [k, extent] : llvm::enumerate(facts.shape(mask)))
        if (extent != elements.constant(1) && !facts.equal(extent, extents[k]))
          return no("its mask may not broadcast to the scores");
      std::optional<double> fill;
      if (isCondition)
        fill = -INFINITY;
      found.masks.push_back({placed(mask, {b, h, i, j}), 1, fill, /*dropsWhereTrue=*/false});
    }
  }
  auto type = RankedTensorType::get(
      {typeOf(query).getDimSize(0), qHeads, typeOf(query).getDimSize(2), typeOf(value).getDimSize(3)},
      typeOf(op.getY()).getElementType());
  // A stand-in for the result, which the builder replaces.
  Value standIn = onnx::IdentityOp::create(rewriter, op.getLoc(), type, query);
  Value result = onnx::IdentityOp::create(rewriter, op.getLoc(), type, standIn);
  found.product = standIn.getDefiningOp();
  found.result = standIn;
  if (failed(buildAttention(found, elements, extents, rewriter, reason)))
    return failure();
  rewriter.setInsertionPoint(op);
  result = result.getDefiningOp()->getOperand(0);
  if (rank == 3) {
    int64_t width = type.getDimSize(3);
    Value turned = build.transpose(result, {0, 2, 1, 3});
    result =
        build.reshape(turned, {0, 0, ShapedType::isDynamic(width) ? -1 : qHeads * width},
                      {type.getDimSize(0), type.getDimSize(2), ShapedType::isDynamic(width) ? width : qHeads * width});
  }
  for (auto [old, with] :
       {std::pair<Value, Value>(op.getY(), result), {op.getPresentKey(), key}, {op.getPresentValue(), value}}) {
    if (!old || old.use_empty())
      continue;
    // A function's result must have the type that was promised.
    if (with.getType() != old.getType() && !isRetypable(old))
      with = onnx::IdentityOp::create(rewriter, op.getLoc(), old.getType(), with);
    rewriter.replaceAllUsesWith(old, with);
  }
  rewriter.eraseOp(op);
  return success();
}
