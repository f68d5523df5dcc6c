// Eval.cpp - moe-run eval: loss of a language model on a file of tokens, and its distance to another artefact.
#include "Commands.h"
#include "Model.h"
#include "TokenFile.h"
#include "base/Json.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <unistd.h>

namespace moe {
namespace {

/// log of the sum of exponentials of a row.
double logSumExp(const float *row, int64_t size) {
  float most = *std::max_element(row, row + size);
  double sum = 0;
  for (int64_t i = 0; i < size; ++i)
    sum += std::exp(row[i] - most);
  return double(most) + std::log(sum);
}

/// KL(other || own) of one position, in nats.
double divergence(const float *other, const float *own, int64_t size) {
  double otherSum = logSumExp(other, size), ownSum = logSumExp(own, size), total = 0;
  for (int64_t i = 0; i < size; ++i) {
    double logOther = other[i] - otherSum;
    total += std::exp(logOther) * (logOther - (own[i] - ownSum));
  }
  return total;
}

int64_t argmax(const float *row, int64_t size) { return std::max_element(row, row + size) - row; }

Status runEval(const Options &options, int &) {
  int64_t window = 0;
  MOE_RETURN_IF_ERROR(options.integer("window", 2, 1 << 24, window));
  if (!window || !options.has("tokens"))
    return Status(MOE_INVALID_ARGUMENT, "eval: expected --tokens FILE and --window N, found only part of them");
  std::vector<int64_t> tokens;
  MOE_RETURN_IF_ERROR(readTokenFile(options.get("tokens"), tokens));
  if (tokens.size() < 2)
    return Status(MOE_INVALID_ARGUMENT,
                  options.get("tokens") + format(": expected at least 2 tokens, found %zu", tokens.size()));
  Model model, otherModel;
  LanguageModel language, other;
  MOE_RETURN_IF_ERROR(model.load(options.arguments()[0], options));
  MOE_RETURN_IF_ERROR(LanguageModel::open(model, 0, language));
  MOE_RETURN_IF_ERROR(checkTokens(options.get("tokens"), tokens, language.maxToken()));
  bool against = options.has("against");
  if (against) {
    MOE_RETURN_IF_ERROR(otherModel.load(options.get("against"), options));
    MOE_RETURN_IF_ERROR(LanguageModel::open(otherModel, 0, other));
    MOE_RETURN_IF_ERROR(checkTokens(options.get("tokens"), tokens, other.maxToken()));
  }

  double loss = 0, seconds = 0, agreed = 0;
  size_t predictions = 0, windows = (tokens.size() + size_t(window) - 1) / size_t(window);
  std::vector<double> divergences;
  bool progress = isatty(STDERR_FILENO);
  for (size_t w = 0; w < windows; ++w) {
    size_t begin = w * size_t(window), end = std::min(tokens.size(), begin + size_t(window));
    if (end - begin < 2)
      break; // one token predicts nothing
    std::vector<int64_t> sequence(tokens.begin() + std::ptrdiff_t(begin), tokens.begin() + std::ptrdiff_t(end));
    const float *logits, *otherLogits;
    int64_t vocabulary, otherVocabulary;
    auto start = std::chrono::steady_clock::now();
    MOE_RETURN_IF_ERROR(language.run(sequence, logits, vocabulary));
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (size_t p = 0; p + 1 < sequence.size(); ++p) {
      if (sequence[p + 1] >= vocabulary)
        return Status(MOE_OUT_OF_RANGE,
                      options.get("tokens") + format(": token %zu: expected an id below %lld, found %lld",
                                                     begin + p + 1, (long long)vocabulary, (long long)sequence[p + 1]));
      const float *row = logits + int64_t(p) * vocabulary;
      loss += logSumExp(row, vocabulary) - row[sequence[p + 1]];
    }
    predictions += sequence.size() - 1;
    if (against) {
      MOE_RETURN_IF_ERROR(other.run(sequence, otherLogits, otherVocabulary));
      if (otherVocabulary != vocabulary)
        return Status(MOE_INVALID_ARGUMENT,
                      options.get("against") + format(": expected a vocabulary of %lld, found %lld",
                                                      (long long)vocabulary, (long long)otherVocabulary));
      for (size_t p = 0; p < sequence.size(); ++p) {
        const float *row = logits + int64_t(p) * vocabulary, *otherRow = otherLogits + int64_t(p) * vocabulary;
        divergences.push_back(divergence(otherRow, row, vocabulary));
        agreed += argmax(row, vocabulary) == argmax(otherRow, vocabulary);
      }
    }
    if (progress)
      fprintf(stderr, "\rwindow %zu of %zu: nll %.4f ", w + 1, windows, loss / double(predictions));
  }
  if (progress)
    fprintf(stderr, "\r\033[K");
  double nll = loss / double(predictions);
  JsonWriter json;
  json.beginObject()
      .key("tokens")
      .value(tokens.size())
      .key("windows")
      .value(windows)
      .key("predictions")
      .value(predictions);
  json.key("nll")
      .value(nll)
      .key("perplexity")
      .value(std::exp(nll))
      .key("mtp_nll")
      .null()
      .key("draft_acceptance")
      .null()
      .key("seconds")
      .value(seconds);
  json.key("tokens_per_second").value(double(tokens.size()) / std::max(seconds, 1e-9));
  FILE *words = options.json() ? stderr : stdout;
  fprintf(words, "%zu tokens in %zu windows: nll %.6f nats, perplexity %.4f; %.2f s, %.0f tokens/s\n", tokens.size(),
          windows, nll, std::exp(nll), seconds, double(tokens.size()) / std::max(seconds, 1e-9));
  if (against) {
    double mean = 0;
    for (double value : divergences)
      mean += value / double(divergences.size());
    size_t place = std::min(divergences.size() - 1, size_t(0.999 * double(divergences.size())));
    std::nth_element(divergences.begin(), divergences.begin() + std::ptrdiff_t(place), divergences.end());
    double agreement = agreed / double(divergences.size());
    json.key("against").beginObject().key("kl_mean").value(mean).key("kl_p999").value(divergences[place]);
    json.key("top1_agreement").value(agreement).key("expert_agreement").null().endObject();
    fprintf(words, "against %s: KL %.6f nats (99.9 %%: %.6f), same first choice %.4f\n", options.get("against").c_str(),
            mean, divergences[place], agreement);
  }
  json.endObject();
  if (options.json())
    printf("%s\n", json.text().c_str());
  return Status();
}
} // namespace

Command evalCommand() {
  return {{"eval",
           "MODEL.moe --tokens FILE --window N",
           "Cuts a file of tokens into windows of N, runs each on its own, and reports the mean negative log "
           "likelihood of each next token (nats) and\n"
           "the perplexity. A last, shorter window counts too. A token file is flat little-endian integers; its ending "
           "gives their width: .u8 .u16 .u32.",
           {{"tokens", "FILE", "the tokens (required)"},
            {"window", "N", "tokens in a window (required)"},
            {"against", "OTHER.moe",
             "also compare logits with this artefact's: KL(OTHER || MODEL) in nats, and how often the first choice "
             "agrees"}},
           1,
           1},
          runEval};
}
} // namespace moe
