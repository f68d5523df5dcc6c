// FakeDriverTest.cpp - what the device path asks of the driver: FakeDriver.c answers and counts. The tests of CudaTest.cpp
// check results on a real device.
#include "FakeDriver.h"
#include "FakeArtefact.h"
#include "Test.h"
#include "moe/random_values.h"
#include "moe/runtime.h"

#include <cstring>
#include <dlfcn.h>
#include <functional>

using namespace moe;
using namespace moe::cts;

namespace {
fake_driver_t &fake() { return *static_cast<fake_driver_t *>(dlsym(RTLD_DEFAULT, FAKE_DRIVER_SYMBOL)); }

struct Fixture {
  moe_artefact_t *artefact = nullptr;
  moe_session_t *session = nullptr;
  moe_status_t status{};
  fake_driver_t before{};
  explicit Fixture(const std::function<void(std::string &)> &edit = nullptr) {
    status = moe_artefact_load(writeFakeCudaArtefact(edit).c_str(), nullptr, &artefact);
    moe_session_options_t options = {sizeof(options), 0, 0, nullptr};
    if (status.code == MOE_OK)
      status = moe_session_create(artefact, &options, &session);
    before = fake();
  }
  ~Fixture() {
    moe_session_release(session);
    moe_artefact_release(artefact);
  }
  std::string runMain(std::vector<int64_t> ids, std::vector<float> *logits = nullptr) {
    std::vector<int64_t> mask(ids.size(), 1), shape = {1, int64_t(ids.size())};
    moe_tensor_t inputs[2] = {{MOE_DTYPE_INT64, 2, shape.data(), ids.data(), ids.size() * 8},
                              {MOE_DTYPE_INT64, 2, shape.data(), mask.data(), mask.size() * 8}};
    moe_tensor_t out{};
    moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &out};
    std::string message = moe_session_run(session, &args).message;
    if (message.empty() && logits)
      logits->assign(static_cast<float *>(out.data), static_cast<float *>(out.data) + out.size / 4);
    return message;
  }
  std::string runPrefix(std::vector<float> x) {
    int64_t extent = int64_t(x.size());
    moe_tensor_t input = {MOE_DTYPE_FLOAT32, 1, &extent, x.data(), x.size() * 4}, out{};
    moe_run_args_t args = {sizeof(args), 1, 1, &input, 1, &out};
    return moe_session_run(session, &args).message;
  }
  std::string runTiles(int64_t n, int64_t k) {
    std::vector<float> x(size_t(n * k));
    int64_t shape[] = {n, k};
    moe_tensor_t input = {MOE_DTYPE_FLOAT32, 2, shape, x.data(), x.size() * 4}, out{};
    moe_run_args_t args = {sizeof(args), 2, 1, &input, 1, &out};
    return moe_session_run(session, &args).message;
  }
};

/// The extents of one run of main are captured when they come again, and replayed from then on.
void expectLogits(Fixture &fixture, std::vector<int64_t> ids) {
  std::vector<float> logits;
  EXPECT_EQ(fixture.runMain(ids, &logits), "");
  for (size_t i = 0; i < logits.size(); ++i)
    EXPECT_EQ(logits[i], fakeLogit(int(ids[i / 8]), int(i % 8)));
}
} // namespace

TEST(fake_driver_takes_the_image_that_fits) {
  int ptx = fake().loads_of_ptx, cubin = fake().loads_of_cubin;
  Fixture fixture;
  EXPECT_EQ(std::string(fixture.status.message), "");
  EXPECT_EQ(fake().loads_of_ptx - ptx, 1); // the cubin is for another chip
  EXPECT_EQ(fake().loads_of_cubin - cubin, 0);
  EXPECT_EQ(fake().shared_attribute, 100000);
}

TEST(fake_driver_replays_a_graph_from_the_second_run_on) {
  Fixture fixture;
  expectLogits(fixture, {1, 2, 3});
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 0);
  EXPECT_EQ(fake().launches - fixture.before.launches, 2);
  expectLogits(fixture, {4, 5, 6});
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 1);
  EXPECT_EQ(fake().captured - fixture.before.captured, 2);
  expectLogits(fixture, {7, 0, 1});
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 1);
  EXPECT_EQ(fake().replays - fixture.before.replays, 2);
  // Nothing in a run waits but its end.
  EXPECT_EQ(fake().synchronizations - fixture.before.synchronizations, 3);
  // Larger buffers are other addresses: the graph is captured again.
  expectLogits(fixture, {1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4});
  expectLogits(fixture, {3, 2, 1});
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 2);
}

TEST(fake_driver_does_not_capture_what_reads) {
  Fixture fixture;
  for (int run = 0; run < 3; ++run)
    EXPECT_EQ(fixture.runPrefix({2, 7, 8}), "");
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 0);
  // A manifest that says otherwise is found out.
  Fixture wrong([](std::string &body) { replace(body, ", \"not_capturable\": \"/prefix reads a count\"", ""); });
  EXPECT_EQ(wrong.runPrefix({2, 7, 8}), "");
  EXPECT_HAS(wrong.runPrefix({2, 7, 8}),
             "the manifest says that the entry can be captured, but it reads device memory");
}

TEST(fake_driver_sees_the_launch_record) {
  Fixture fixture;
  EXPECT_EQ(fixture.runTiles(3, 64), "");
  const fake_launch_t &last = fake().last;
  EXPECT_EQ(std::string(last.name), "k2_tiles");
  EXPECT_EQ(last.grid[0], 4u); // 3 items in clusters of 2 on 5 multiprocessors
  EXPECT_EQ(last.block[0], 32u);
  EXPECT_EQ(last.shared_bytes, 100000u);
  EXPECT_EQ(last.cluster[0], 2u);
  EXPECT_EQ(last.pdl, 1u);
  EXPECT_EQ(fixture.runTiles(300, 64), "");
  EXPECT_EQ(fake().last.grid[0], 4u); // two whole clusters on 5 multiprocessors
  const fake_tensor_map_t &map = fake().map;
  EXPECT_EQ(map.dtype, 7);
  EXPECT_EQ(map.rank, 2u);
  EXPECT_EQ(map.dims[0], 64u);
  EXPECT_EQ(map.dims[1], 300u);
  EXPECT_EQ(map.strides[0], 256u);
  EXPECT_EQ(map.box[0], 32u);
  EXPECT_EQ(map.box[1], 8u);
  EXPECT_EQ(map.swizzle, 3);
  EXPECT_EQ(map.l2_promotion, 3);
}

TEST(fake_driver_sees_no_tensor_map_of_nothing) {
  Fixture fixture;
  fake().map = {};
  EXPECT_EQ(fixture.runTiles(3, 0), "");
  EXPECT_EQ(std::string(fake().last.name), "k2_tiles");
  EXPECT_EQ(fake().map.rank, 0u);
}

TEST(fake_driver_names_the_step_of_a_tensor_map_that_cannot_be) {
  Fixture fixture;
  EXPECT_EQ(fixture.runTiles(3, 61),
            "device 0 (Fake GPU): step 0, moe.tiles (/tiles): tensor map 0: expected a stride of a "
            "multiple of 16 bytes in dim 0, found 244");
}

TEST(fake_driver_says_how_much_memory_was_needed_for_what) {
  size_t limit = fake().memory_limit;
  {
    Fixture fixture;
    fake().memory_limit = fake().memory_used + 1000;
    std::string message = fixture.runMain(std::vector<int64_t>(100, 1));
    EXPECT_HAS(message, "device 0 (Fake GPU): 3200 bytes for the temporaries of entry main, with 1000 of ");
    EXPECT_HAS(message, "this session has 384 for weights");
    EXPECT_HAS(message, "CUDA_ERROR_OUT_OF_MEMORY");
    fake().memory_limit = limit;
    expectLogits(fixture, {1, 2, 3}); // the session goes on
  }
  fake().memory_limit = fake().memory_used + 100;
  Fixture none;
  EXPECT_EQ(none.status.code, MOE_OUT_OF_MEMORY);
  EXPECT_HAS(none.status.message, "384 bytes for the weights of weights-0.safetensors");
  fake().memory_limit = limit;
}

TEST(fake_driver_gives_memory_back) {
  size_t used = fake().memory_used;
  {
    Fixture fixture;
    for (int i = 1; i < 70; ++i)
      for (int run = 0; run < 2; ++run)
        EXPECT_EQ(fixture.runMain(std::vector<int64_t>(size_t(i), 1)), "");
    EXPECT_EQ(fixture.runPrefix({2, 7, 8}), "");
  }
  EXPECT_EQ(fake().memory_used, used);
}

TEST(fake_driver_random_weights_are_filled_on_the_device) {
  Fixture fixture([](std::string &body) {
    replace(body, "{\"name\": \"table\", \"file\": 0, \"offset\": 128, \"size\": 256}",
            "{\"name\": \"table\", \"size\": 256, \"random\": {\"dtype\": \"float32\", \"distribution\": \"uniform\", "
            "\"low\": -1, \"high\": 1, \"seed\": \"0000000000000007\"}}");
  });
  std::vector<float> logits;
  EXPECT_EQ(fixture.runMain({0, 1, 2, 3, 4, 5, 6, 7}, &logits), "");
  moe_random_t random = {7, MOE_RANDOM_UNIFORM, -1, 1};
  for (size_t i = 0; i < logits.size(); ++i)
    EXPECT_EQ(logits[i], moe_random_value(&random, i));
  EXPECT_EQ(logits.size(), 64u);
}

TEST(fake_driver_profiles_with_events) {
  Fixture fixture;
  struct Seen {
    std::vector<std::string> names;
    uint64_t last = 0;
    bool ordered = true;
  } seen;
  moe_session_set_profiler(
      fixture.session,
      [](void *self, const moe_step_event_t *event) {
        Seen &seen = *static_cast<Seen *>(self);
        seen.names.push_back(std::string(event->op) + " " + event->source);
        seen.ordered &= event->begin_ns <= event->end_ns && seen.last <= event->begin_ns;
        seen.last = event->begin_ns;
      },
      &seen);
  for (int run = 0; run < 3; ++run)
    EXPECT_EQ(fixture.runMain({1, 2, 3}), "");
  EXPECT_EQ(fake().graphs - fixture.before.graphs, 0);
  EXPECT_EQ(seen.names.size(), 6u);
  EXPECT_EQ(seen.names[0], "moe.gather /model/embed");
  EXPECT_EQ(seen.names[1], "linalg.copy ");
  EXPECT(seen.ordered);
}

TEST(fake_driver_times_sets_with_cold_weights) {
  Fixture fixture;
  auto time = [&](int l2, bool cold, uint32_t entry = 0) {
    fake().l2_bytes = l2;
    Fixture own;
    std::vector<int64_t> ids = {0, 1}, mask(2, 1), shape = {1, 2};
    std::vector<float> x = {2, 7};
    std::vector<moe_tensor_t> sets;
    for (int set = 0; set < 8; ++set)
      if (entry == 0) {
        sets.push_back({MOE_DTYPE_INT64, 2, shape.data(), ids.data(), 16});
        sets.push_back({MOE_DTYPE_INT64, 2, shape.data(), mask.data(), 16});
      } else {
        sets.push_back({MOE_DTYPE_FLOAT32, 1, shape.data() + 1, x.data(), 8});
      }
    moe_time_args_t args = {sizeof(args), entry, 8, sets.data(), cold, 0, 0, 0, 0};
    moe_time_result_t result{};
    result.struct_size = sizeof(result);
    EXPECT_EQ(std::string(moe_session_time(own.session, &args, &result).message), "");
    EXPECT(result.us_min <= result.us_median && result.us_median <= result.us_max);
    EXPECT(result.read_roof > 0 && result.copy_roof > 0);
    fake().l2_bytes = 1024;
    return std::string(result.cold_by) + "|" + result.not_captured + "|" + std::to_string(result.runs);
  };
  size_t used = fake().memory_used;
  EXPECT_EQ(time(64, true), "size||64");    // 256 bytes of weights are four caches: one graph of 8 sets, 8 times
  EXPECT_EQ(time(256, true), "copies||64"); // four copies of them are
  int memsets = fake().memsets;
  EXPECT_EQ(time(1 << 20, true), "flush||8"); // a graph for each set
  EXPECT(fake().memsets - memsets >= 1 + 8);  // in front of the warm-up's one run and of each that is timed
  EXPECT_EQ(time(1 << 20, false), "||64");
  EXPECT_EQ(time(1 << 20, true, 1), "|/prefix reads a count|8");
  EXPECT_EQ(fake().memory_used, used);
}

TEST(fake_driver_failures_name_the_step) { // the last test: the error stays
  Fixture fixture;
  EXPECT_EQ(fixture.runPrefix({-1, 7}),
            "device 0 (Fake GPU): step 0, moe.copy (/prefix): CUDA_ERROR_ILLEGAL_ADDRESS: an "
            "illegal memory access");
}
