// Generate.cpp - moe-run generate: text from a prompt, token by token. Each step computes the sequence from its start.
#include "Commands.h"
#include "Model.h"
#include "Sampler.h"
#include "TokenFile.h"
#include "Tokenizer.h"
#include "base/Json.h"

#include <algorithm>
#include <chrono>
#include <unistd.h>

namespace moe {
namespace {

Status readSampling(const Options &options, SamplerOptions &out) {
  int64_t seed = 0;
  MOE_RETURN_IF_ERROR(options.number("temperature", 0, 1000, out.temperature));
  MOE_RETURN_IF_ERROR(options.integer("top-k", 1, INT32_MAX, out.topK));
  MOE_RETURN_IF_ERROR(options.number("top-p", 0, 1, out.topP));
  MOE_RETURN_IF_ERROR(options.integer("seed", 0, INT64_MAX, seed));
  out.seed = uint64_t(seed);
  for (const char *name : {"top-k", "top-p"})
    if (options.has(name) && out.temperature == 0)
      return Status(MOE_INVALID_ARGUMENT,
                    std::string("--") + name + ": expected with --temperature above 0, found without");
  return Status();
}

Status runGenerate(const Options &options, int &) {
  if (options.has("prompt") == options.has("prompt-ids"))
    return Status(MOE_INVALID_ARGUMENT, std::string("generate: expected --prompt or --prompt-ids, found ") +
                                            (options.has("prompt") ? "both" : "neither"));
  if (!options.has("tokenizer") && options.has("prompt"))
    return Status(MOE_INVALID_ARGUMENT, "generate: expected --tokenizer FILE for --prompt, found nothing");
  int64_t most = 0;
  MOE_RETURN_IF_ERROR(options.integer("max-tokens", 0, 1 << 24, most));
  if (!options.has("max-tokens"))
    return Status(MOE_INVALID_ARGUMENT, "generate: expected --max-tokens N, found nothing");
  SamplerOptions sampling;
  MOE_RETURN_IF_ERROR(readSampling(options, sampling));
  std::vector<int64_t> stops, sequence;
  MOE_RETURN_IF_ERROR(options.list("stop-ids", stops));
  MOE_RETURN_IF_ERROR(options.list("prompt-ids", sequence));
  Tokenizer tokenizer;
  bool hasText = options.has("tokenizer");
  if (hasText)
    MOE_RETURN_IF_ERROR(Tokenizer::load(options.get("tokenizer"), tokenizer));
  if (options.has("prompt"))
    MOE_RETURN_IF_ERROR(tokenizer.encode(options.get("prompt"), sequence));
  if (sequence.empty())
    return Status(MOE_INVALID_ARGUMENT, "generate: expected at least one token in the prompt, found none");
  Model model;
  LanguageModel language;
  MOE_RETURN_IF_ERROR(model.load(options.arguments()[0], options));
  MOE_RETURN_IF_ERROR(LanguageModel::open(model, 0, language));
  MOE_RETURN_IF_ERROR(checkTokens("prompt", sequence, language.maxToken()));

  bool streams = !options.json() && isatty(STDOUT_FILENO);
  if (streams && options.has("prompt"))
    printf("%s", options.get("prompt").c_str()), fflush(stdout);
  Sampler sampler(sampling);
  TokenStream stream(tokenizer);
  std::vector<int64_t> tokens;
  std::string text;
  size_t promptTokens = sequence.size(), steps = 0;
  auto emit = [&](const std::string &piece) {
    text += piece;
    if (streams)
      printf("%s", piece.c_str()), fflush(stdout);
  };
  auto begin = std::chrono::steady_clock::now();
  while (int64_t(tokens.size()) < most) {
    const float *logits;
    int64_t vocabulary;
    MOE_RETURN_IF_ERROR(language.run(sequence, logits, vocabulary, true));
    ++steps;
    int64_t token = sampler.choose(logits + (int64_t(sequence.size()) - 1) * vocabulary, vocabulary);
    if (std::find(stops.begin(), stops.end(), token) != stops.end())
      break;
    tokens.push_back(token), sequence.push_back(token);
    if (hasText)
      emit(stream.add(token));
    else if (streams)
      printf("%s%lld", tokens.size() > 1 ? "," : "", (long long)token), fflush(stdout);
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  emit(stream.finish());
  double rate = double(tokens.size()) / std::max(seconds, 1e-9);
  if (options.json()) {
    JsonWriter json;
    json.beginObject().key("text");
    hasText ? json.value(text) : json.null();
    json.key("tokens").beginArray();
    for (int64_t token : tokens)
      json.value(token);
    json.endArray()
        .key("prompt_tokens")
        .value(promptTokens)
        .key("seconds")
        .value(seconds)
        .key("tokens_per_second")
        .value(rate);
    json.key("draft_acceptance").null().key("steps").value(steps).endObject();
    printf("%s\n", json.text().c_str());
  } else if (streams) {
    printf("\n");
  } else if (hasText) {
    printf("%s\n", text.c_str());
  } else {
    for (size_t i = 0; i < tokens.size(); ++i)
      printf("%s%lld", i ? "," : "", (long long)tokens[i]);
    printf("\n");
  }
  fprintf(stderr, "%zu tokens behind %zu of the prompt in %.2f s: %.1f tokens/s\n", tokens.size(), promptTokens,
          seconds, rate);
  return Status();
}
} // namespace

Command generateCommand() {
  return {{"generate",
           "MODEL.moe --tokenizer FILE (--prompt TEXT | --prompt-ids IDS) --max-tokens N",
           "Continues a prompt. On a terminal the text appears as it is made; in a pipe it comes at the end, without "
           "the prompt. Greedy unless a temperature\n"
           "is given. Without --tokenizer, prompt and output are token ids.",
           {{"tokenizer", "FILE", "tokenizer.json of a byte-level BPE"},
            {"prompt", "TEXT", "the beginning, as text"},
            {"prompt-ids", "5,17,...", "the beginning, as token ids"},
            {"max-tokens", "N", "largest number of new tokens (required)"},
            {"stop-ids", "5,17,...", "tokens that end the text; they are not part of it (default: none)"},
            {"no-mtp", "", "do not draft with a multi-token head (artefacts without one never do)"},
            {"temperature", "X", "divides the logits before sampling; 0 is greedy (default: 0)"},
            {"top-k", "N", "sample from the N most probable tokens (default: all)"},
            {"top-p", "X",
             "sample from the most probable tokens that together reach this probability, 0 to 1 (default: 1)"},
            {"seed", "N", "seed of the sampling (default: 0)"}},
           1,
           1},
          runGenerate};
}
} // namespace moe
