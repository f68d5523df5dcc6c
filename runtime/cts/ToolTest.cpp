// ToolTest.cpp - moe-run's parts: tensor files, token files, options, sampling.
#include "Options.h"
#include "Sampler.h"
#include "Tensor.h"
#include "Test.h"
#include "TokenFile.h"
#include "base/File.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace moe;
using namespace moe::cts;

TEST(tensor_protos_round_trip_in_every_type) {
  for (int dtype = 1; dtype <= 15; ++dtype) {
    Tensor tensor, again;
    tensor.name = "t\xc3\xa9nsor", tensor.dtype = moe_dtype_t(dtype), tensor.shape = {2, 0, 3};
    tensor.allocate();
    EXPECT_OK(readTensorProto("f.pb", writeTensorProto(tensor), again));
    EXPECT_EQ(again.shape, tensor.shape);
    tensor.shape = {3, 2};
    tensor.allocate();
    for (size_t i = 0; i < tensor.bytes(); ++i)
      static_cast<uint8_t *>(tensor.data())[i] = uint8_t(i % 2);
    EXPECT_OK(readTensorProto("f.pb", writeTensorProto(tensor), again));
    EXPECT_EQ(again.name, tensor.name);
    EXPECT_EQ(again.dtype, tensor.dtype);
    EXPECT(memcmp(again.data(), tensor.data(), tensor.bytes()) == 0);
  }
}

TEST(tensor_protos_with_typed_fields) {
  auto read = [](std::string bytes, Tensor &tensor) { return readTensorProto("f.pb", bytes, tensor); };
  Tensor t;
  // dims {2} not packed, float_data packed
  EXPECT_OK(read(std::string("\x08\x02\x10\x01\x22\x08\x00\x00\x80\x3f\x00\x00\x00\xc0", 14), t));
  EXPECT_EQ(static_cast<float *>(t.data())[1], -2.0f);
  // dims packed {2}, int64_data {1, -1}
  EXPECT_OK(read(std::string("\x0a\x01\x02\x10\x07\x3a\x0b\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 18), t));
  EXPECT_EQ(static_cast<int64_t *>(t.data())[1], -1);
  // scalar bool in int32_data, not packed
  EXPECT_OK(read(std::string("\x10\x09\x28\x01", 4), t));
  EXPECT(t.shape.empty() && static_cast<uint8_t *>(t.data())[0] == 1);
  // bfloat16 1.0 as its bits in int32_data
  EXPECT_OK(read(std::string("\x08\x01\x10\x10\x2a\x02\x80\x7f", 8), t));
  EXPECT_EQ(static_cast<uint16_t *>(t.data())[0], 0x3f80);
}

TEST(bad_tensor_protos_are_refused) {
  auto expect = [](std::string bytes, const char *message) {
    Tensor tensor;
    Status status = readTensorProto("f.pb", bytes, tensor);
    EXPECT(!status.ok());
    EXPECT_HAS(status.message(), message);
  };
  expect(std::string("\xff\xff", 2), "f.pb: expected a TensorProto");
  expect("", "expected an element type of numbers, found data_type 0");
  expect(std::string("\x10\x08\x32\x01x", 5), "found strings");
  expect(std::string("\x08\x02\x10\x01\x4a\x04zzzz", 10), "expected 2 elements for float32[2], found 4 bytes");
  expect(std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01", 13), "negative or too large");
  expect(std::string("\x10\x01\x70\x01", 4), "found external data");
  std::mt19937 random(3);
  Tensor tensor, again;
  tensor.name = "x", tensor.dtype = MOE_DTYPE_FLOAT32, tensor.shape = {4, 5};
  tensor.allocate();
  std::string good = writeTensorProto(tensor);
  for (int k = 0; k < 3000; ++k) {
    std::string bytes = good;
    for (int n = 0; n < 3; ++n)
      bytes[random() % (k % 2 ? 12 : bytes.size())] = char(random());
    Status status = readTensorProto("f.pb", bytes, again); // anything but a crash
  }
}

TEST(npy_files_round_trip) {
  for (std::vector<int64_t> shape : {std::vector<int64_t>{}, {3}, {2, 3}, {0, 4}}) {
    Tensor tensor, again;
    tensor.dtype = MOE_DTYPE_INT64, tensor.shape = shape;
    tensor.allocate();
    for (size_t i = 0; i < tensor.elements(); ++i)
      static_cast<int64_t *>(tensor.data())[i] = int64_t(i) - 2;
    std::string bytes = writeNpy(tensor);
    EXPECT_EQ((bytes.find('\n') + 1) % 64, 0u);
    EXPECT_OK(readNpy("f.npy", bytes, MOE_DTYPE_INT64, again));
    EXPECT_EQ(again.shape, shape);
    EXPECT(memcmp(again.data(), tensor.data(), tensor.bytes()) == 0);
    bytes.pop_back();
    if (tensor.bytes())
      EXPECT_HAS(readNpy("f.npy", bytes, MOE_DTYPE_INT64, again).message(), "f.npy: expected");
  }
  Tensor half, again;
  half.dtype = MOE_DTYPE_BFLOAT16, half.shape = {2};
  half.allocate();
  EXPECT_OK(readNpy("f.npy", writeNpy(half), MOE_DTYPE_BFLOAT16, again));
  EXPECT_EQ(again.dtype, MOE_DTYPE_BFLOAT16);
  EXPECT_HAS(readNpy("f.npy", "\x93NUMPZ_________", MOE_DTYPE_INT64, again).message(), "expected a .npy file");
}

TEST(token_files_have_the_width_of_their_ending) {
  std::string folder = scratchFolder();
  EXPECT_OK(writeFile(folder + "/t.u16", std::string("\x01\x00\xff\xff", 4)));
  EXPECT_OK(writeFile(folder + "/t.u8", std::string("\x01\x00\xff\xff", 4)));
  EXPECT_OK(writeFile(folder + "/odd.u32", "12345"));
  std::vector<int64_t> tokens;
  EXPECT_OK(readTokenFile(folder + "/t.u16", tokens));
  EXPECT_EQ(tokens, (std::vector<int64_t>{1, 65535}));
  EXPECT_HAS(checkTokens("t.u16", tokens, 100).message(), "t.u16: token 1: expected an id from 0 to 100, found 65535");
  EXPECT_OK(readTokenFile(folder + "/t.u8", tokens));
  EXPECT_EQ(tokens.size(), 4u);
  EXPECT_HAS(readTokenFile(folder + "/odd.u32", tokens).message(), "expected a multiple of 4 bytes, found 5");
  EXPECT_HAS(readTokenFile(folder + "/t.txt", tokens).message(), ".u8, .u16 or .u32");
}

static Status parseOptions(std::vector<const char *> words, Options &options) {
  static const CommandSpec spec = {"demo", "FILE", "", {{"n", "N", ""}, {"flag", "", ""}}, 1, 2};
  return Options::parse(spec, int(words.size()), const_cast<char **>(words.data()), options);
}

TEST(options_in_both_spellings) {
  Options options;
  EXPECT_OK(parseOptions({"a", "--n=3", "--json", "--", "--b"}, options));
  EXPECT_EQ(options.arguments(), (std::vector<std::string>{"a", "--b"}));
  int64_t n = 0;
  EXPECT_OK(options.integer("n", 0, 5, n));
  EXPECT(n == 3 && options.json());
  EXPECT_HAS(options.integer("n", 0, 2, n).message(), "--n: expected a whole number from 0 to 2, found \"3\"");
  auto message = [](std::vector<const char *> words) {
    Options other;
    return parseOptions(words, other).message();
  };
  EXPECT_EQ(message({"a", "--n", "7"}), "");
  EXPECT_HAS(message({"a", "--m", "7"}), "unknown option --m");
  EXPECT_HAS(message({"a", "-x"}), "unknown option -x");
  EXPECT_HAS(message({"a", "--n"}), "expected a value (N)");
  EXPECT_HAS(message({"a", "--flag=1"}), "expected no value");
  EXPECT_HAS(message({}), "expected FILE, found 0 arguments");
}

TEST(greedy_takes_the_largest_then_the_lowest_id) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> logits = {nan, 1, 3, 3, 2};
  EXPECT_EQ(Sampler({}).choose(logits.data(), 5), 2);
  std::vector<float> none = {nan, nan};
  EXPECT_EQ(Sampler({}).choose(none.data(), 2), 0);
}

TEST(sampling_follows_the_distribution) {
  std::vector<float> logits = {float(std::log(0.5)), float(std::log(0.3)), float(std::log(0.15)),
                               float(std::log(0.05))};
  auto shares = [&](SamplerOptions options) {
    options.seed = 5;
    Sampler sampler(options);
    std::vector<double> share(4);
    for (int k = 0; k < 40000; ++k)
      share[size_t(sampler.choose(logits.data(), 4))] += 1 / 40000.0;
    return share;
  };
  auto near = [](double found, double expected) { return std::fabs(found - expected) < 0.01; };
  std::vector<double> all = shares({1, 0, 1, 0}), two = shares({1, 2, 1, 0}), most = shares({1, 0, 0.75, 0}),
                      cold = shares({0.5, 0, 1, 0});
  EXPECT(near(all[0], 0.5) && near(all[1], 0.3) && near(all[2], 0.15) && near(all[3], 0.05));
  EXPECT(near(two[0], 0.625) && near(two[1], 0.375) && two[2] == 0);
  EXPECT(near(most[0], 0.625) && near(most[1], 0.375) && most[2] == 0);
  EXPECT(near(cold[0], 0.25 / 0.365));
  SamplerOptions options{0.8, 3, 0.9, 11};
  Sampler one(options), same(options);
  for (int k = 0; k < 100; ++k)
    EXPECT(one.choose(logits.data(), 4) == same.choose(logits.data(), 4));
  std::vector<float> endless = {std::numeric_limits<float>::infinity(), 0, std::numeric_limits<float>::infinity()};
  EXPECT(Sampler({1, 0, 1, 3}).choose(endless.data(), 3) != 1);
}
