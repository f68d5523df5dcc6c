//===- WeightsTest.cpp - recipes against their definition by elements -----===//
//
// usage: moe-weights-test FOLDER [--speed]      FOLDER is for files of the test
//
//===----------------------------------------------------------------------===//
#include "moe/Weights/Elements.h"
#include "moe/Weights/WeightReader.h"

#include "dialects/moe/Moe.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <sys/resource.h>
#include <unistd.h>

using namespace mlir;
using namespace mlir::moe;

namespace {

int failures = 0;
void expect(bool holds, const Twine &what) {
  if (holds)
    return;
  ++failures;
  llvm::outs() << "failed: " << what << "\n";
}

struct Test {
  MLIRContext context;
  std::string folder;
  std::mt19937 random{7};
  std::string diagnostic;

  explicit Test(StringRef folder) : folder(folder.str()) {
    context.loadDialect<MoeDialect>();
    context.getDiagEngine().registerHandler([this](Diagnostic &d) {
      llvm::raw_string_ostream os(diagnostic);
      os << d << "\n";
    });
  }
  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); }

  void write(StringRef name, ArrayRef<char> bytes) {
    std::error_code code;
    llvm::raw_fd_ostream os(folder + "/" + name.str(), code);
    os.write(bytes.data(), bytes.size());
  }

  Type type(StringRef text) { return parseType(text, &context); }
  Attribute attribute(StringRef text) { return parseAttribute(text, &context); }
  RecipeAttr recipe(RecipeStep step, ArrayRef<NamedAttribute> params, ArrayRef<Attribute> inputs,
                    ArrayRef<int64_t> shape, Type element) {
    return RecipeAttr::get(&context, step, DictionaryAttr::get(&context, params), ArrayAttr::get(&context, inputs),
                           RankedTensorType::get(shape, element));
  }
  NamedAttribute param(StringRef name, ArrayRef<int64_t> values) {
    return {StringAttr::get(&context, name), DenseI64ArrayAttr::get(&context, values)};
  }
  NamedAttribute param(StringRef name, int64_t value) {
    return {StringAttr::get(&context, name), IntegerAttr::get(IntegerType::get(&context, 64), value)};
  }
  /// A piece of the file "pool", which holds random bytes, at an offset of its own.
  Attribute piece(ArrayRef<int64_t> shape, Type element) {
    auto type = RankedTensorType::get(shape, element);
    return PieceAttr::get(&context, StringAttr::get(&context, "pool").getValue(), below(64) * 8,
                          WeightReader::byteSize(type), type);
  }

  double at(Attribute attr, ArrayRef<int64_t> index);
  bool same(Attribute attr);
};

std::vector<char> pool;

int64_t linear(ArrayRef<int64_t> shape, ArrayRef<int64_t> index) {
  int64_t n = 0;
  for (auto [d, i] : llvm::zip(shape, index))
    n = n * d + i;
  return n;
}
SmallVector<int64_t> delinear(ArrayRef<int64_t> shape, int64_t n) {
  SmallVector<int64_t> index(shape.size());
  for (size_t d = shape.size(); d-- > 0; n /= shape[d])
    index[d] = n % shape[d];
  return index;
}

/// The definition: one element of a recipe.
double Test::at(Attribute attr, ArrayRef<int64_t> index) {
  RankedTensorType type = getRecipeType(attr);
  Element element = *getElement(type.getElementType());
  char buffer[8];
  if (auto piece = dyn_cast<PieceAttr>(attr)) {
    unpackElements(element, pool.data() + piece.getOffset(), linear(type.getShape(), index), buffer, 1);
    return loadDouble(element, buffer);
  }
  auto recipe = cast<RecipeAttr>(attr);
  DictionaryAttr params = recipe.getParams();
  Attribute first = recipe.getInputs()[0];
  ArrayRef<int64_t> shape = getRecipeType(first).getShape();
  auto array = [&](StringRef name) { return params.getAs<DenseI64ArrayAttr>(name).asArrayRef(); };
  auto number = [&](StringRef name) { return params.getAs<IntegerAttr>(name).getInt(); };
  SmallVector<int64_t> from(shape.size());
  switch (recipe.getStep()) {
  case RecipeStep::Cast: {
    double value = at(first, index);
    storeDouble(element, buffer, value, Overflow::Saturate);
    return loadDouble(element, buffer);
  }
  case RecipeStep::Transpose:
    for (auto [i, p] : llvm::enumerate(array("permutation")))
      from[p] = index[i];
    return at(first, from);
  case RecipeStep::Reshape:
    return at(first, delinear(shape, linear(type.getShape(), index)));
  case RecipeStep::Slice:
    for (size_t i = 0; i < shape.size(); ++i)
      from[i] = array("offsets")[i] + index[i] * array("strides")[i];
    return at(first, from);
  case RecipeStep::Concat: {
    from.assign(index.begin(), index.end());
    for (Attribute input : recipe.getInputs()) {
      int64_t size = getRecipeType(input).getDimSize(number("axis"));
      if (from[number("axis")] < size)
        return at(input, from);
      from[number("axis")] -= size;
    }
    return NAN;
  }
  case RecipeStep::Pack: {
    size_t p = index.size() - 3;
    from.assign(index.begin(), index.begin() + p);
    int64_t row = index[p] * number("panel") + index[p + 2];
    if (row >= shape[p])
      return 0;
    from.append({row, index[p + 1]});
    return at(first, from);
  }
  case RecipeStep::Dequantize: {
    int64_t bits = number("bits"), block = number("block"), pack = 8 / bits, k = index.back();
    auto code = [&](Attribute source, ArrayRef<int64_t> i, int64_t columns) -> int64_t {
      ArrayRef<int64_t> stored = getRecipeType(source).getShape();
      // One zero point in a byte is packed as the codes are.
      bool packedOne = columns == 1 && getRecipeType(first).getShape().back() != type.getShape().back();
      if (stored.back() == columns && !packedOne)
        return static_cast<int64_t>(at(source, i));
      SmallVector<int64_t> byte(i);
      byte.back() /= pack;
      return static_cast<int64_t>(at(source, byte)) >> (i.back() % pack * bits) & ((1 << bits) - 1);
    };
    SmallVector<int64_t> scaleIndex(index);
    ArrayRef<int64_t> scaleShape = getRecipeType(recipe.getInputs()[1]).getShape();
    if (block)
      scaleIndex.back() = k / block;
    else if (scaleShape.size() == index.size())
      scaleIndex.back() = 0;
    else
      scaleIndex.pop_back();
    int64_t zero = params.get("zero_point") ? number("zero_point") : int64_t(1) << (bits - 1);
    if (recipe.getInputs().size() == 3)
      zero = code(recipe.getInputs()[2], scaleIndex, scaleShape.back());
    float scale = static_cast<float>(at(recipe.getInputs()[1], scaleIndex));
    float value = static_cast<float>(code(first, index, type.getShape().back()) - zero) * scale;
    storeDouble(element, buffer, value, Overflow::Saturate);
    return loadDouble(element, buffer);
  }
  }
  return NAN;
}

/// Streams `attr` and compares every element with its definition.
bool Test::same(Attribute attr) {
  RankedTensorType type = getRecipeType(attr);
  Element element = *getElement(type.getElementType());
  std::vector<char> out(WeightReader::byteSize(type));
  WeightReader reader(folder);
  diagnostic.clear();
  if (failed(reader.read(attr, out, [this] { return error(); }))) {
    llvm::outs() << "  " << diagnostic;
    return false;
  }
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    char buffer[8];
    unpackElements(element, out.data(), i, buffer, 1);
    double found = loadDouble(element, buffer), expected = at(attr, delinear(type.getShape(), i));
    if (found != expected && !(std::isnan(found) && std::isnan(expected))) {
      llvm::outs() << "  element " << i << " of " << attr << ": expected " << expected << ", found " << found << "\n";
      return false;
    }
  }
  return true;
}

//===----------------------------------------------------------------------===//

void testFormats() {
  auto code = [](double value) { return encodeFloat(Element::F8E4M3FN, value, Overflow::Saturate); };
  struct {
    double value;
    int code;
  } golden[] = {{0.1, 0x1D},
                {1.0 / 3, 0x2B},
                {1, 0x38},
                {-1.5, 0xBC},
                {17, 0x58},
                {std::ldexp(1, -6), 0x08},
                {std::ldexp(1, -9), 0x01},
                {0.0011, 0x01},
                {std::ldexp(1, -10), 0x00},
                {448, 0x7E},
                {464, 0x7E},
                {500, 0x7E}};
  for (auto [value, expected] : golden)
    expect(code(value) == expected, "f8E4M3FN code of " + std::to_string(value));
  expect(encodeFloat(Element::F8E4M3FN, 464, Overflow::ToNaN) == 0x7E, "464 is a tie to even");
  expect(encodeFloat(Element::F8E4M3FN, 465, Overflow::ToNaN) == 0x7F, "beyond the largest f8E4M3FN is NaN");
  expect(encodeFloat(Element::F8E5M2, 61440, Overflow::ToNaN) == 0x7C, "f8E5M2 overflows to infinity");
  expect(encodeFloat(Element::F8E5M2, 61440, Overflow::Saturate) == 0x7B, "f8E5M2 saturates");
  expect(encodeFloat(Element::F8E4M3FNUZ, -0.0, Overflow::Saturate) == 0, "FNUZ has no negative zero");
  expect(encodeFloat(Element::F8E4M3FNUZ, NAN, Overflow::Saturate) == 0x80, "FNUZ has one NaN");
  struct {
    double amax;
    int code;
  } scales[] = {{3.0, 120}, {448, 127}, {449, 128}, {1e-4, 105}};
  for (auto [amax, expected] : scales)
    expect(encodeFloat(Element::F8E8M0FNU, amax / 448, Overflow::Saturate) == expected,
           "f8E8M0FNU scale of " + std::to_string(amax));
  // Every code of every small format survives a round trip.
  for (Element e : {Element::F4E2M1FN, Element::F8E4M3FN, Element::F8E5M2, Element::F8E4M3FNUZ, Element::F8E5M2FNUZ,
                    Element::F8E8M0FNU, Element::F16, Element::BF16}) {
    int codes = e == Element::F4E2M1FN ? 16 : packedBits(e) == 16 ? 65536 : 256, lost = 0;
    for (int c = 0; c < codes; ++c) {
      float value = decodeFloat(e, c);
      lost += !std::isnan(value) && encodeFloat(e, value, Overflow::ToNaN) != c;
    }
    expect(lost == 0, "round trip of format " + std::to_string(int(e)) + ": " + std::to_string(lost) + " codes lost");
  }
  // Halves between neighbours go to the even code, for the formats the compiler's own conversion does too.
  for (int c = 0; c < 0x7BFF; ++c) {
    double middle = (double(decodeFloat(Element::F16, c)) + decodeFloat(Element::F16, c + 1)) / 2;
    expect(encodeFloat(Element::F16, middle, Overflow::ToNaN) == c + (c & 1),
           "tie above f16 code " + std::to_string(c));
  }
  float in[] = {1.00390625f, 1.01171875f, -3.4e38f, 1e-40f};
  uint16_t bulk[4];
  convertElements(Element::F32, reinterpret_cast<char *>(in), Element::BF16, reinterpret_cast<char *>(bulk), 4);
  for (int i = 0; i < 4; ++i)
    expect(bulk[i] == encodeFloat(Element::BF16, in[i], Overflow::ToNaN), "bulk bf16 " + std::to_string(i));
}

void testSteps(Test &test) {
  Type f32 = test.type("f32"), bf16 = test.type("bf16");
  for (StringRef from : {"bf16", "f16", "f32", "f64", "f8E4M3FN", "f8E5M2", "f8E4M3FNUZ", "f8E5M2FNUZ", "f8E8M0FNU",
                         "f4E2M1FN", "i1", "i4", "ui4", "ui2", "i8", "ui8", "i16", "i32", "ui32"})
    for (StringRef to : {"bf16", "f16", "f32", "f64", "f8E4M3FN", "f8E5M2", "i8", "ui8", "i32", "i4"}) {
      if (!isa<FloatType>(test.type(from)) && !isa<FloatType>(test.type(to)))
        continue; // integers wrap, see below
      Attribute cast =
          test.recipe(RecipeStep::Cast, {}, test.piece({3, 7, 5}, test.type(from)), {3, 7, 5}, test.type(to));
      expect(test.same(cast), "cast " + from + " to " + to);
    }
  for (StringRef element : {"bf16", "f32", "i4", "i8", "f64"}) {
    Type e = test.type(element);
    expect(test.same(test.piece({}, e)), "scalar piece");
    expect(test.same(test.piece({5, 3}, e)), "piece of " + element);
    expect(test.same(test.piece({0, 3}, e)), "empty piece of " + element);
    expect(test.same(
               test.recipe(RecipeStep::Pack, test.param("panel", 16), test.piece({2, 37, 11}, e), {2, 3, 11, 16}, e)),
           "pack " + element);
    expect(test.same(test.recipe(RecipeStep::Transpose, test.param("permutation", {2, 0, 1}), test.piece({4, 5, 67}, e),
                                 {67, 4, 5}, e)),
           "transpose " + element);
    expect(test.same(
               test.recipe(RecipeStep::Slice,
                           {test.param("offsets", {1, 1}), test.param("sizes", {3, 6}), test.param("strides", {2, 3})},
                           test.piece({8, 17}, e), {3, 6}, e)),
           "slice " + element);
    expect(test.same(
               test.recipe(RecipeStep::Slice,
                           {test.param("offsets", {1, 1}), test.param("sizes", {3, 6}), test.param("strides", {2, 40})},
                           test.piece({8, 217}, e), {3, 6}, e)),
           "wide slice " + element);
    expect(test.same(test.recipe(RecipeStep::Concat, test.param("axis", 1),
                                 {test.piece({3, 2, 5}, e), test.piece({3, 0, 5}, e), test.piece({3, 4, 5}, e)},
                                 {3, 6, 5}, e)),
           "concat " + element);
  }
  // Codes of 2, 4 and 8 bits; per row and per block; with and without zero points, packed and not.
  Type u8 = test.type("ui8");
  for (int64_t bits : {2, 4, 8})
    for (int64_t block : {0, 16, 24, 64})
      for (int zeros : {0, 1, 2})
        for (int64_t k : {64, 50}) {
          int64_t pack = 8 / bits, blocks = block ? llvm::divideCeil(k, block) : 1;
          SmallVector<int64_t> scaleShape = {3, 8};
          if (block)
            scaleShape.push_back(blocks);
          SmallVector<Attribute> inputs = {test.piece({3, 8, int64_t(llvm::divideCeil(k, pack))}, u8),
                                           test.piece(scaleShape, bf16)};
          SmallVector<int64_t> zeroShape(scaleShape);
          if (zeros == 2)
            zeroShape.back() = llvm::divideCeil(zeroShape.back(), pack);
          if (zeros)
            inputs.push_back(test.piece(zeroShape, u8));
          Attribute recipe = test.recipe(RecipeStep::Dequantize, {test.param("bits", bits), test.param("block", block)},
                                         inputs, {3, 8, k}, f32);
          expect(test.same(recipe), "dequantize bits " + Twine(bits) + " block " + Twine(block) + " zeros " +
                                        Twine(zeros) + " k " + Twine(k));
        }
  expect(test.same(test.recipe(RecipeStep::Dequantize,
                               {test.param("bits", 8), test.param("block", 0), test.param("zero_point", 0)},
                               {test.piece({3, 20}, test.type("i8")), test.piece({3, 1}, f32)}, {3, 20}, f32)),
         "dequantize signed codes");
}

/// A random chain of steps on top of `attr`.
Attribute randomStep(Test &test, Attribute attr, int depth) {
  RankedTensorType type = getRecipeType(attr);
  SmallVector<int64_t> shape(type.getShape());
  Type element = type.getElementType();
  if (depth == 0)
    return attr;
  Attribute next = attr;
  switch (test.below(6)) {
  case 0: {
    Type to = test.type(std::array{"f32", "bf16", "f16", "f64"}[test.below(4)]);
    next = test.recipe(RecipeStep::Cast, {}, attr, shape, to);
    break;
  }
  case 1: {
    SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, shape.size()));
    std::shuffle(permutation.begin(), permutation.end(), test.random);
    SmallVector<int64_t> out = applyPermutation(ArrayRef<int64_t>(shape), permutation);
    next = test.recipe(RecipeStep::Transpose, test.param("permutation", permutation), attr, out, element);
    break;
  }
  case 2: { // split one dim, or merge two
    SmallVector<int64_t> out(shape);
    size_t d = test.below(shape.size());
    if (test.below(2) && d + 1 < shape.size()) {
      out[d] *= out[d + 1];
      out.erase(out.begin() + d + 1);
    } else {
      int64_t factor = 1;
      for (int64_t f : {2, 3, 4, 5})
        if (shape[d] % f == 0 && test.below(2))
          factor = f;
      out[d] /= factor;
      out.insert(out.begin() + d + 1, factor);
    }
    if (test.below(4) == 0 && out.size() > 1) { // everything in another order of factors
      std::swap(out[0], out[1]);
    }
    next = test.recipe(RecipeStep::Reshape, {}, attr, out, element);
    break;
  }
  case 3: {
    SmallVector<int64_t> offsets, sizes, strides;
    for (int64_t d : shape) {
      int64_t stride = 1 + (test.below(3) == 0 ? test.below(3) : 0), offset = test.below(std::min<int64_t>(d, 3));
      offsets.push_back(offset);
      strides.push_back(stride);
      sizes.push_back(llvm::divideCeil(d - offset, stride));
    }
    next = test.recipe(RecipeStep::Slice,
                       {test.param("offsets", offsets), test.param("sizes", sizes), test.param("strides", strides)},
                       attr, sizes, element);
    break;
  }
  case 4: {
    int64_t axis = test.below(shape.size());
    SmallVector<int64_t> other(shape), out(shape);
    other[axis] = 1 + test.below(4);
    out[axis] = 2 * shape[axis] + other[axis];
    if (out[axis] > 200)
      break;
    next = test.recipe(RecipeStep::Concat, test.param("axis", axis), {attr, test.piece(other, element), attr}, out,
                       element);
    break;
  }
  case 5: {
    if (shape.size() < 2 || shape.size() > 4)
      break;
    int64_t panel = 1 + test.below(8), n = shape.size();
    SmallVector<int64_t> out(shape);
    out[n - 2] = llvm::divideCeil(shape[n - 2], panel);
    out.push_back(panel);
    next = test.recipe(RecipeStep::Pack, test.param("panel", panel), attr, out, element);
    break;
  }
  }
  if (getRecipeType(next).getNumElements() > 20000)
    return attr;
  return randomStep(test, next, depth - 1);
}

void testChains(Test &test) {
  for (int i = 0; i < 400; ++i) {
    SmallVector<int64_t> shape;
    for (int64_t rank = 1 + test.below(4); rank-- > 0;)
      shape.push_back(1 + test.below(12));
    Type element = test.type(std::array{"bf16", "f32", "f16", "f8E4M3FN"}[test.below(4)]);
    Attribute chain = randomStep(test, test.piece(shape, element), 1 + test.below(6));
    expect(test.same(chain), "random chain " + Twine(i));
    if (failures > 5)
      return;
  }
}

void testRefusals(Test &test) {
  llvm::sys::fs::create_directory(test.folder + "/sub");
  test.write("sub/inner", {1, 2, 3, 4});
  (void)::symlink("pool", (test.folder + "/link").c_str());
  (void)::symlink("sub", (test.folder + "/linkdir").c_str());
  auto refuses = [&](StringRef file, StringRef words) {
    auto type = RankedTensorType::get({1}, test.type("f32"));
    char out[4];
    WeightReader reader(test.folder);
    test.diagnostic.clear();
    bool refused =
        failed(reader.read(PieceAttr::get(&test.context, file, 0, 4, type), out, [&] { return test.error(); }));
    expect(refused == !words.empty() && StringRef(test.diagnostic).contains(words) &&
               StringRef(test.diagnostic).count('\n') == (refused ? 1u : 0u),
           "'" + file + "': " + test.diagnostic);
  };
  refuses("sub/inner", "");
  refuses("./sub/./inner", "");
  refuses("/etc/passwd", "relative path");
  refuses("../outside", "without '..'");
  refuses("sub/../pool", "without '..'");
  refuses("", "relative path");
  refuses("link", "expects no symbolic link in the path of weight file 'link'");
  refuses("linkdir/inner", "'linkdir' is one");
  refuses("absent", "cannot open weight file 'absent'");
  refuses("sub", "regular file");
  auto type = RankedTensorType::get({2}, test.type("f32"));
  char out[8];
  WeightReader reader(test.folder);
  test.diagnostic.clear();
  expect(
      failed(reader.read(PieceAttr::get(&test.context, "sub/inner", 0, 8, type), out, [&] { return test.error(); })) &&
          StringRef(test.diagnostic).contains("at least 0 + 8 bytes, but it has 4"),
      "short file: " + test.diagnostic);
}

/// Bytes of the result a second, and the peak of resident memory, for a bank of experts as files hold them.
void measure(Test &test) {
  int64_t experts = 64, n = 2048, k = 2048;
  std::vector<char> zeros(k * n * 2, 17);
  {
    std::error_code code;
    llvm::raw_fd_ostream os(test.folder + "/big", code);
    for (int64_t e = 0; e < experts; ++e)
      os.write(zeros.data(), zeros.size());
  }
  Type bf16 = test.type("bf16"), f32 = test.type("f32");
  auto type = RankedTensorType::get({experts, n, k}, bf16);
  Attribute piece = PieceAttr::get(&test.context, StringRef("big"), 0, WeightReader::byteSize(type), type);
  Attribute slice = test.recipe(
      RecipeStep::Slice,
      {test.param("offsets", {0, 0, 0}), test.param("sizes", {experts, n, k}), test.param("strides", {1, 1, 1})}, piece,
      {experts, n, k}, bf16);
  Attribute half = test.recipe(
      RecipeStep::Slice,
      {test.param("offsets", {0, 0, 0}), test.param("sizes", {experts, n / 2, k}), test.param("strides", {1, 2, 1})},
      piece, {experts, n / 2, k}, bf16);
  Attribute wide = test.recipe(RecipeStep::Cast, {}, slice, {experts, n, k}, f32);
  Attribute turned =
      test.recipe(RecipeStep::Transpose, test.param("permutation", {0, 2, 1}), wide, {experts, k, n}, f32);
  auto pack = [&](Attribute in) {
    RankedTensorType t = getRecipeType(in);
    return test.recipe(RecipeStep::Pack, test.param("panel", 16), in,
                       {t.getDimSize(0), t.getDimSize(1) / 16, t.getDimSize(2), 16}, t.getElementType());
  };
  auto flat = RankedTensorType::get({experts * n, k}, bf16);
  Attribute matrix = PieceAttr::get(&test.context, StringRef("big"), 0, WeightReader::byteSize(flat), flat);
  Attribute columns =
      test.recipe(RecipeStep::Transpose, test.param("permutation", {1, 0}), matrix, {k, experts * n}, bf16);
  std::pair<const char *, Attribute> cases[] = {{"piece", piece},
                                                {"cast", wide},
                                                {"pack", pack(slice)},
                                                {"pack(cast(slice))", pack(wide)},
                                                {"pack(transpose(cast))", pack(turned)},
                                                {"pack(slice by 2)", pack(half)},
                                                {"transpose of all", columns}};
  for (auto [name, attr] : cases) {
    auto start = std::chrono::steady_clock::now();
    int64_t total = 0;
    WeightReader reader(test.folder);
    (void)reader.stream(
        attr,
        [&](ArrayRef<char> b) {
          total += b.size();
          return success();
        },
        [&] { return test.error(); });
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    llvm::outs() << llvm::formatv("{0,-24} {1:f2} GB/s of results, {2} MiB resident at most\n", name,
                                  total / seconds / 1e9, usage.ru_maxrss >> 10);
  }
  llvm::sys::fs::remove(test.folder + "/big");
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    llvm::errs() << "usage: moe-weights-test FOLDER [--speed]\n";
    return 2;
  }
  Test test(argv[1]);
  if (argc > 2 && StringRef(argv[2]) == "--speed") {
    measure(test);
    return 0;
  }
  pool.resize(1 << 17);
  for (char &c : pool)
    c = static_cast<char>(test.below(256));
  test.write("pool", pool);
  auto report = [](StringRef name) { llvm::outs() << name << ": " << (failures ? "failed" : "passed") << "\n"; };
  testFormats();
  report("formats");
  testSteps(test);
  report("steps");
  testChains(test);
  report("random chains");
  testRefusals(test);
  report("refusals");
  return failures != 0;
}
