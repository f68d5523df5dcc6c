// BaseTest.cpp - the parts below the API: thread pool, planner, JSON, expressions, element types.
#include "Test.h"
#include "base/Dtype.h"
#include "base/Expression.h"
#include "base/Json.h"
#include "base/Planner.h"
#include "cpu/Isa.h"
#include "cpu/ThreadPool.h"
#include "moe/random_values.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <random>
#include <thread>

using namespace moe;

TEST(pool_runs_every_chunk_once) {
  for (unsigned threads : {1u, 2u, 3u, 8u}) {
    ThreadPool pool(threads);
    std::mt19937 random(threads);
    for (int region = 0; region < 3000; ++region) {
      int64_t chunks = 1 + random() % 40;
      std::unique_ptr<std::atomic<int>[]> counts(new std::atomic<int>[size_t(chunks)]());
      pool.run(chunks, [](void *self, int64_t chunk) { ++static_cast<std::atomic<int> *>(self)[chunk]; }, counts.get());
      for (int64_t c = 0; c < chunks; ++c)
        if (counts[size_t(c)] != 1)
          return EXPECT_EQ(counts[size_t(c)].load(), 1);
      if (region % 500 == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(2)); // workers fall asleep
    }
  }
}

TEST(pool_waits_for_slow_chunks_and_takes_others_meanwhile) {
  ThreadPool pool(2);
  std::atomic<int> finished{0};
  pool.run(
      5,
      [](void *self, int64_t chunk) {
        if (chunk == 0)
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ++*static_cast<std::atomic<int> *>(self);
      },
      &finished);
  EXPECT_EQ(finished.load(), 5);
}

TEST(pool_caller_sleeps_for_a_workers_chunk_and_workers_wake_whenever_a_region_starts) {
  ThreadPool pool(2);
  struct Region {
    std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> finished{0};
  };
  for (int round = 0; round < 400; ++round) {
    Region region;
    pool.run(
        3,
        [](void *self, int64_t) {
          Region &region = *static_cast<Region *>(self);
          // Longer than the caller spins.
          if (std::this_thread::get_id() != region.caller)
            std::this_thread::sleep_for(std::chrono::microseconds(300));
          ++region.finished;
        },
        &region);
    if (region.finished != 3)
      return EXPECT_EQ(region.finished.load(), 3);
    // Workers fall asleep after some 50 microseconds: the next region starts before, while and after they do.
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(round % 120);
    while (std::chrono::steady_clock::now() < until) {
    }
  }
}

TEST(planner_keeps_living_buffers_apart) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> buffers(1 + random() % 60);
    uint64_t sum = 0;
    for (Lifetime &b : buffers) {
      b.size = random() % 5 == 0 ? 0 : random() % 5000;
      b.first = int64_t(random() % 30), b.last = b.first + int64_t(random() % 6);
      sum += (b.size + 63) / 64 * 64;
    }
    uint64_t size;
    std::vector<uint64_t> offsets = packArena(buffers, 64, size);
    EXPECT(size <= sum);
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT(offsets[i] % 64 == 0 && offsets[i] + buffers[i].size <= size);
      for (size_t j = 0; j < i; ++j) {
        bool together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
        bool overlap = offsets[i] < offsets[j] + buffers[j].size && offsets[j] < offsets[i] + buffers[i].size;
        EXPECT(!together || !overlap);
      }
    }
  }
}

TEST(planner_reuses_memory_of_dead_buffers) {
  uint64_t size;
  std::vector<uint64_t> offsets = packArena({{1000, 0, 1}, {64, 1, 2}, {1000, 2, 3}, {500, 4, 4}}, 64, size);
  EXPECT_EQ(size, 1024u + 64u);
  EXPECT_EQ(offsets[0], offsets[2]);
}

TEST(json_reads_what_the_standard_allows) {
  Json json;
  EXPECT_OK(Json::parse(R"( {"a": [1, -2.5e1, true, null, "x\n\u00e9\ud83d\ude00"], "b": {}} )", json));
  const std::vector<Json> &a = json.find("a")->array();
  EXPECT_EQ(a[0].integer(), 1);
  EXPECT_EQ(a[1].number(), -25.0);
  EXPECT(a[2].boolean() && a[3].isNull());
  EXPECT_EQ(a[4].string(), "x\n\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT(json.find("b")->isObject() && !json.find("c"));
}

TEST(json_refuses_the_rest_with_a_place) {
  struct Row {
    const char *text, *message;
  };
  std::string deep(100, '[');
  for (Row row : {Row{"", "line 1, column 1: expected a value, found the end of the text"},
                  {"{\"a\": 1,\n}", "line 2, column 1: expected a key"},
                  {"[1 2]", "column 4: expected ',' or ']', found '2'"},
                  {"01", "expected the end of the text"},
                  {"[1.]", "expected a digit"},
                  {"\"\\x\"", "expected an escape"},
                  {"\"\\ud800\"", "expected a low surrogate"},
                  {"\"a\nb\"", "found byte 0x0a"},
                  {"nul", "expected a value"},
                  {"{\"a\": 1, \"a\": 2}", "expected a key that was not given before"},
                  {deep.c_str(), "at most 64 levels"},
                  {"\xff", "found byte 0xff"}}) {
    Json json;
    Status status = Json::parse(row.text, json);
    EXPECT(!status.ok());
    EXPECT_HAS(status.message(), row.message);
  }
}

TEST(json_writes_what_it_reads) {
  JsonWriter writer;
  writer.beginObject()
      .key("a")
      .beginArray()
      .value(0.1)
      .value(int64_t(-3))
      .value("q\"\\\n\x01")
      .null()
      .value(NAN)
      .value(true)
      .endArray();
  writer.key("b").beginObject().endObject().endObject();
  EXPECT_EQ(writer.text(), "{\"a\": [0.1, -3, \"q\\\"\\\\\\n\\u0001\", null, null, true], \"b\": {}}");
}

TEST(expressions_over_extents) {
  auto lookup = [](std::string_view name, double &out) {
    return name == "n" ? (out = 10, true) : name == "a.b_1" ? (out = 3, true) : false;
  };
  double value = 0;
  auto evaluate = [&](const char *text) {
    Status status = evaluateExpression(text, lookup, value);
    return status.ok() ? format("%g", value) : status.message();
  };
  EXPECT_EQ(evaluate("n * (a.b_1 + 2) - 4"), "46");
  EXPECT_EQ(evaluate("active(4, 1) + active(4, 2) + active(1, 9)"), "3.75");
  EXPECT_EQ(evaluate("n ceildiv 4 * 4 + n floordiv 3 + n mod 4 + max(n, 3) / min(2, n)"), "22");
  EXPECT_HAS(evaluate("n * m"), "no extent is named m");
  EXPECT_HAS(evaluate("n * "), "expected a number or a name");
  EXPECT_HAS(evaluate("n / (n - 10)"), "division by zero");
  EXPECT_HAS(evaluate("n n"), "unexpected text at column 3");
}

TEST(element_types_round_trip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float half = halfToFloat(uint16_t(bits)), wide = bfloatToFloat(uint16_t(bits));
    if (!std::isnan(half))
      EXPECT(floatToHalf(half) == bits);
    if (!std::isnan(wide))
      EXPECT(floatToBfloat(wide) == bits);
  }
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f), 0x3c00); // a tie goes to even
  EXPECT_EQ(floatToHalf(1.0f + 0x1.8p-10f), 0x3c02);
  EXPECT_EQ(float8ToFloat(0x7e, false), 448.0f);
  EXPECT_EQ(float8ToFloat(0x01, false), 0x1p-9f);
  EXPECT_EQ(float8ToFloat(0x7b, true), 57344.0f);
  for (int code = 0; code < 255; ++code) {
    uint8_t again = 0;
    if (std::isnan(float8ToFloat(uint8_t(code), false)))
      continue;
    storeFromDouble(MOE_DTYPE_FLOAT8E4M3FN, &again, 0, float8ToFloat(uint8_t(code), false));
    EXPECT_EQ(int(again), code);
  }
  EXPECT_EQ(dtypeByName("bfloat16"), MOE_DTYPE_BFLOAT16);
  EXPECT_EQ(moe_dtype_size(dtypeByName("int16")), 2u);
  EXPECT_EQ(dtypeByName("none"), MOE_DTYPE_NONE);
}

TEST(unknown_instruction_sets_are_never_met) {
  EXPECT(processorMeets("x86-64-v2"));
  EXPECT(!processorMeets("x86-64-v5") && !processorMeets("") && !processorMeets("x86-64-v2+nonsense") &&
         !processorMeets("x86-64-v2+"));
}

TEST(random_values_round_to_nearest_even_and_saturate) {
  auto round = [](float value, int mantissa, int bias, uint32_t most, int sign) {
    return moe_round_float(moe_float_bits(value), mantissa, bias, most, sign);
  };
  // float8e4m3fn
  struct {
    float value;
    uint32_t code;
  } e4m3[] = {{0, 0},        {1, 0x38},          {-1, 0xb8},        {448, 0x7e},       {464, 0x7e},
              {1e9f, 0x7e},  {17, 0x58},         {19, 0x5a},        {18, 0x59},        {0x1p-9f, 0x01},
              {0x1p-10f, 0}, {0x1.8p-10f, 0x01}, {0x1.8p-9f, 0x02}, {0x1.cp-7f, 0x07}, {0x1p-6f, 0x08},
              {1e-30f, 0}};
  for (auto &one : e4m3)
    EXPECT_EQ(round(one.value, 3, 7, 0x7e, 7), one.code);
  // bfloat16, float16
  EXPECT_EQ(round(1.00390625f, 7, 127, 0x7f80, 15), 0x3f80u); // half way, to even
  EXPECT_EQ(round(1.01171875f, 7, 127, 0x7f80, 15), 0x3f82u);
  EXPECT_EQ(round(3.4e38f, 7, 127, 0x7f80, 15), 0x7f80u);
  EXPECT_EQ(round(0x1p-140f, 7, 127, 0x7f80, 15), 0u);
  EXPECT_EQ(round(0x1p-127f, 7, 127, 0x7f80, 15), 0x40u);
  EXPECT_EQ(round(65504, 10, 15, 0x7c00, 15), 0x7bffu);
  EXPECT_EQ(round(65520, 10, 15, 0x7c00, 15), 0x7c00u);
  EXPECT_EQ(round(0x1p-24f, 10, 15, 0x7c00, 15), 1u);
  EXPECT_EQ(round(-0x1p-14f, 10, 15, 0x7c00, 15), 0x8400u);
}

TEST(random_values_have_their_mean_and_deviation) {
  for (uint32_t distribution : {MOE_RANDOM_UNIFORM, MOE_RANDOM_NORMAL}) {
    moe_random_t random = {99, distribution, 2.0f, 5.0f};
    double sum = 0, squares = 0, low = 1e9, high = -1e9;
    constexpr int kCount = 200000;
    for (int i = 0; i < kCount; ++i) {
      double value = moe_random_value(&random, uint64_t(i));
      sum += value, squares += value * value, low = std::min(low, value), high = std::max(high, value);
    }
    double mean = sum / kCount, deviation = std::sqrt(squares / kCount - mean * mean);
    EXPECT(std::abs(mean - (distribution == MOE_RANDOM_UNIFORM ? 3.5 : 2.0)) < 0.05);
    EXPECT(std::abs(deviation - (distribution == MOE_RANDOM_UNIFORM ? 3 / std::sqrt(12.0) : 5.0)) < 0.03);
    EXPECT(distribution == MOE_RANDOM_UNIFORM ? low >= 2 && high < 5 : low > 2 - 17.5 && high < 2 + 17.5);
  }
  moe_random_t one = {0, MOE_RANDOM_UNIFORM, 0, 1};
  EXPECT_EQ(moe_random_bits(0, 0), 0xe220a8397b1dcdafu); // splitmix64 of its paper
  EXPECT_EQ(moe_random_element(&one, MOE_DTYPE_FLOAT32, 0), moe_float_bits(float(0xe220a8) * 0x1p-24f));
}
