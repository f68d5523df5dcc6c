// SessionTest.cpp - running entries: results, outputs that data decide, input checks, errors of kernels, the profiler,
// allocators.
#include "FakeArtefact.h"
#include "Test.h"
#include "base/Memory.h"
#include "moe/runtime.h"

#include <cstdlib>
#include <cstring>

using namespace moe;
using namespace moe::cts;

namespace {
struct Fixture {
  moe_artefact_t *artefact = nullptr;
  moe_session_t *session = nullptr;
  explicit Fixture(uint32_t threads = 2, const moe_allocator_t *allocator = nullptr) {
    moe_status_t status = moe_artefact_load(writeFakeArtefact().c_str(), nullptr, &artefact);
    moe_session_options_t options = {sizeof(options), threads, 0, allocator};
    if (status.code == MOE_OK)
      status = moe_session_create(artefact, &options, &session);
    if (status.code != MOE_OK)
      fail(__FILE__, __LINE__, status.message);
  }
  ~Fixture() {
    moe_session_release(session);
    moe_artefact_release(artefact);
  }
  moe_status_t runMain(std::vector<int64_t> ids, std::vector<int64_t> shape, std::vector<int64_t> maskShape,
                       moe_tensor_t &out) {
    std::vector<int64_t> mask(ids.size(), 1);
    moe_tensor_t inputs[2] = {
        {MOE_DTYPE_INT64, uint32_t(shape.size()), shape.data(), ids.data(), ids.size() * 8},
        {MOE_DTYPE_INT64, uint32_t(maskShape.size()), maskShape.data(), mask.data(), mask.size() * 8}};
    moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &out};
    return moe_session_run(session, &args);
  }
  moe_status_t runSelect(std::vector<float> x, moe_tensor_t &out) {
    int64_t extent = int64_t(x.size());
    moe_tensor_t input = {MOE_DTYPE_FLOAT32, 1, &extent, x.data(), x.size() * 4};
    moe_run_args_t args = {sizeof(args), 1, 1, &input, 1, &out};
    return moe_session_run(session, &args);
  }
};
} // namespace

TEST(main_gives_its_logits_on_any_number_of_threads) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    Fixture fixture(threads);
    EXPECT_EQ(moe_session_num_threads(fixture.session), threads);
    for (int64_t length : {1, 3, 700, 0, 3}) {
      std::vector<int64_t> ids;
      for (int64_t i = 0; i < 2 * length; ++i)
        ids.push_back(i * 5 % 8);
      moe_tensor_t out{};
      moe_status_t status = fixture.runMain(ids, {2, length}, {2, length}, out);
      EXPECT_EQ(std::string(status.message), "");
      EXPECT_EQ(out.rank, 3u);
      EXPECT_EQ(out.extents[1], length);
      EXPECT_EQ(out.size, size_t(2 * length * 32));
      bool same = true;
      for (int64_t i = 0; i < 2 * length; ++i)
        for (int k = 0; k < 8; ++k)
          same &= static_cast<float *>(out.data)[i * 8 + k] == fakeLogit(int(ids[size_t(i)]), k);
      EXPECT(same);
    }
  }
}

extern "C" moe_status_t run_example(const char *path, float *out_first_logit);

TEST(the_api_works_from_c) {
  float logit = -1;
  EXPECT_EQ(run_example(writeFakeArtefact().c_str(), &logit).code, MOE_OK);
  EXPECT_EQ(logit, fakeLogit(1, 0));
}

TEST(plan_tells_output_extents_and_arena) {
  Fixture fixture;
  int64_t extents[4] = {2, 10, 2, 10}, out[3];
  uint64_t arena;
  EXPECT_EQ(moe_session_plan(fixture.session, 0, extents, 4, out, 3, &arena).code, MOE_OK);
  EXPECT_EQ(out[1], 10);
  EXPECT_EQ(arena, 640u + 128u); // both are alive at step 1; 100 bytes take two lines of 64
  extents[0] = 3;
  moe_status_t status = moe_session_plan(fixture.session, 0, extents, 4, out, 3, &arena);
  EXPECT_HAS(status.message,
             "input attention_mask: dim 0 (\"batch\"): expected extent 3 as in input input_ids, found 2");
  // 35 TB of temporaries: mapped they could be, used they could not.
  int64_t huge[4] = {1 << 20, 1 << 20, 1 << 20, 1 << 20};
  status = moe_session_plan(fixture.session, 0, huge, 4, out, 3, &arena);
  EXPECT_EQ(status.code, MOE_OUT_OF_MEMORY);
  EXPECT_HAS(status.message, "entry main: expected inputs that need at most the");
  int64_t many = 1001, unknown;
  EXPECT_HAS(moe_session_plan(fixture.session, 1, &many, 1, &unknown, 1, nullptr).message, "at most 1000 elements");
  many = 5;
  EXPECT_EQ(moe_session_plan(fixture.session, 1, &many, 1, &unknown, 1, nullptr).code, MOE_OK);
  EXPECT_EQ(unknown, -1);
}

TEST(memory_that_is_not_there_is_refused) {
  EXPECT(availableMemory() > 0 && availableMemory() <= totalMemory());
  Block block;
  EXPECT(!block.allocate(defaultAllocator(), size_t(1) << 45));
  EXPECT(!block.data());
  EXPECT(block.allocate(defaultAllocator(), size_t(1) << 24));
}

TEST(outputs_whose_extents_data_decide) {
  Fixture fixture;
  moe_tensor_t out{};
  EXPECT_EQ(fixture.runSelect({1, -2, 3, 0, 5}, out).code, MOE_OK);
  EXPECT_EQ(out.extents[0], 3);
  EXPECT_EQ(static_cast<float *>(out.data)[2], 5.0f);
  float room[2];
  moe_tensor_t bound = {MOE_DTYPE_NONE, 0, nullptr, room, sizeof(room)};
  EXPECT_EQ(fixture.runSelect({0, 7, 8}, bound).code, MOE_OK);
  EXPECT_EQ(room[1], 8.0f);
  EXPECT(bound.data == room);
  bound.size = sizeof(room);
  moe_status_t status = fixture.runSelect({1, 2, 3}, bound);
  EXPECT_EQ(status.code, MOE_OUT_OF_RANGE);
  EXPECT_HAS(status.message, "output positive: expected a buffer of 12 bytes, found 8");
  moe_tensor_t empty{};
  EXPECT_EQ(fixture.runSelect({}, empty).code, MOE_OK);
  EXPECT_EQ(empty.extents[0], 0);
}

TEST(wrong_inputs_are_named_before_anything_runs) {
  Fixture fixture;
  moe_tensor_t out{};
  auto expect = [&](moe_status_t status, moe_status_code_t code, const char *message) {
    EXPECT_EQ(status.code, code);
    EXPECT_HAS(status.message, message);
  };
  expect(fixture.runMain({1, 8}, {1, 2}, {1, 2}, out), MOE_OUT_OF_RANGE,
         "input input_ids: element 1: expected a value from 0 to 7, found 8");
  expect(fixture.runMain({1, -1}, {1, 2}, {1, 2}, out), MOE_OUT_OF_RANGE, "found -1");
  expect(fixture.runMain({1, 2}, {2}, {1, 2}, out), MOE_INVALID_ARGUMENT,
         "input input_ids: expected rank 2, found rank 1");
  expect(fixture.runMain({1, 2}, {1, 2}, {2, 1}, out), MOE_INVALID_ARGUMENT,
         "expected extent 1 as in input input_ids, found 2");
  expect(fixture.runMain({1, 2}, {1, 3}, {1, 2}, out), MOE_INVALID_ARGUMENT,
         "expected 24 bytes for shape [1, 3], found 16");
  expect(fixture.runMain({1, 2}, {1, -2}, {1, 2}, out), MOE_INVALID_ARGUMENT, "negative or too large");
  int64_t extent = 1;
  double x = 1;
  moe_tensor_t input = {MOE_DTYPE_FLOAT64, 1, &extent, &x, 8};
  moe_run_args_t args = {sizeof(args), 1, 1, &input, 1, &out};
  expect(moe_session_run(fixture.session, &args), MOE_INVALID_ARGUMENT, "input x: expected float32, found float64");
  args.num_inputs = 0;
  expect(moe_session_run(fixture.session, &args), MOE_INVALID_ARGUMENT,
         "expected 1 inputs and 1 outputs, found 0 and 1");
  args.entry = 2;
  expect(moe_session_run(fixture.session, &args), MOE_INVALID_ARGUMENT, "entry: expected a number below 2, found 2");
}

TEST(errors_of_kernels_name_the_step) {
  Fixture fixture;
  moe_tensor_t out{};
  moe_status_t status = fixture.runSelect(std::vector<float>(900, 13.0f), out);
  EXPECT_EQ(status.code, MOE_RUN_FAILED);
  EXPECT_EQ(std::string(status.message), "entry select, step 0, moe.inspect (/inspect): thirteen is not allowed");
  status = fixture.runSelect({-1}, out);
  EXPECT_EQ(status.code, MOE_OUT_OF_MEMORY);
  EXPECT_HAS(status.message, "1152921504606846976 bytes");
  EXPECT_EQ(fixture.runSelect({4}, out).code, MOE_OK); // the session goes on
}

TEST(the_profiler_sees_every_launch) {
  Fixture fixture;
  std::vector<std::string> seen;
  moe_session_set_profiler(
      fixture.session,
      [](void *self, const moe_step_event_t *event) {
        static_cast<std::vector<std::string> *>(self)->push_back(
            format("%u %s %s %s %lld", event->step, event->kernel, event->op, event->source, (long long)event->items));
        EXPECT(event->end_ns >= event->begin_ns);
      },
      &seen);
  moe_tensor_t out{};
  fixture.runMain({1, 2, 3}, {1, 3}, {1, 3}, out);
  moe_session_set_profiler(fixture.session, nullptr, nullptr);
  fixture.runMain({1, 2, 3}, {1, 3}, {1, 3}, out);
  EXPECT_EQ(seen, (std::vector<std::string>{"0 k0_lookup moe.gather /model/embed 3", "1 k1_copy linalg.copy  24"}));
}

TEST(memory_comes_from_the_callers_allocator) {
  static size_t inUse, calls, limit;
  inUse = calls = 0, limit = SIZE_MAX;
  moe_allocator_t allocator = {sizeof(allocator), &inUse,
                               [](void *self, size_t size, size_t alignment) -> void * {
                                 if (size > limit)
                                   return nullptr;
                                 ++calls, *static_cast<size_t *>(self) += size;
                                 return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
                               },
                               [](void *self, void *memory, size_t size) {
                                 *static_cast<size_t *>(self) -= size;
                                 free(memory);
                               }};
  {
    Fixture fixture(1, &allocator);
    moe_tensor_t out{};
    EXPECT_EQ(fixture.runMain({1, 2, 3}, {1, 3}, {1, 3}, out).code, MOE_OK);
    EXPECT_EQ(calls, 2u); // arena, output
    out = {};
    EXPECT_EQ(fixture.runMain({1, 2, 3}, {1, 3}, {1, 3}, out).code, MOE_OK);
    EXPECT_EQ(calls, 2u);
    limit = 1000;
    out = {}; // else the last run's output would be bound
    moe_status_t status = fixture.runMain(std::vector<int64_t>(100, 1), {1, 100}, {1, 100}, out);
    EXPECT_EQ(status.code, MOE_OUT_OF_MEMORY);
    EXPECT_HAS(status.message, "output logits needs 3200 bytes");
    limit = SIZE_MAX;
    EXPECT_EQ(fixture.runMain(std::vector<int64_t>(100, 1), {1, 100}, {1, 100}, out).code, MOE_OK);
  }
  EXPECT_EQ(inUse, 0u);
}
