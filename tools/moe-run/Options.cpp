// Options.cpp - see Options.h.
#include "Options.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace moe {
namespace {
const std::vector<OptionSpec> kCommon = {
    {"threads", "N", "CPU threads to compute with (default: one for each processor this process may use)"},
    {"device", "N", "number of the device, for artefacts of a device target (default: 0)"},
    {"json", "", "print one JSON object on standard output; words go to standard error"},
    {"help", "", "print this"},
};

const OptionSpec *findOption(const CommandSpec &command, const std::string &name) {
  for (const auto *list : {&command.options, &kCommon})
    for (const OptionSpec &option : *list)
      if (name == option.name)
        return &option;
  return nullptr;
}
Status wrong(std::string what) { return Status(MOE_INVALID_ARGUMENT, std::move(what)); }
} // namespace

bool parseInteger(const std::string &text, int64_t &out) {
  char *end;
  errno = 0;
  long long value = strtoll(text.c_str(), &end, 10);
  if (errno || text.empty() || *end || isspace((unsigned char)text[0]))
    return false;
  out = value;
  return true;
}

Status Options::parse(const CommandSpec &command, int argc, char **argv, Options &out) {
  bool onlyArguments = false;
  for (int i = 0; i < argc; ++i) {
    std::string word = argv[i];
    if (onlyArguments || word.size() < 2 || word[0] != '-') {
      out.arguments_.push_back(word);
      continue;
    }
    if (word == "--") {
      onlyArguments = true;
      continue;
    }
    if (word == "-h")
      word = "--help";
    size_t equals = word.find('=');
    std::string name =
        word.substr(word[1] == '-' ? 2 : 1, equals == std::string::npos ? equals : equals - (word[1] == '-' ? 2 : 1));
    const OptionSpec *option = word[1] == '-' ? findOption(command, name) : nullptr;
    if (!option)
      return wrong(std::string(command.name) + ": unknown option " + word.substr(0, equals) + "; see moe-run " +
                   command.name + " --help");
    if (!*option->value) {
      if (equals != std::string::npos)
        return wrong("--" + name + ": expected no value, found \"" + word.substr(equals + 1) + "\"");
      out.values_[name].push_back("");
    } else if (equals != std::string::npos) {
      out.values_[name].push_back(word.substr(equals + 1));
    } else if (i + 1 < argc) {
      out.values_[name].push_back(argv[++i]);
    } else {
      return wrong("--" + name + ": expected a value (" + option->value + ") behind it, found nothing");
    }
  }
  if (!out.help() && (out.arguments_.size() < command.minArguments || out.arguments_.size() > command.maxArguments))
    return wrong(format("%s: expected %s, found %zu argument%s; see moe-run %s --help", command.name, command.usage,
                        out.arguments_.size(), out.arguments_.size() == 1 ? "" : "s", command.name));
  return Status();
}

const std::vector<std::string> &Options::all(const std::string &name) const {
  static const std::vector<std::string> none;
  auto found = values_.find(name);
  return found == values_.end() ? none : found->second;
}
std::string Options::get(const std::string &name, const std::string &otherwise) const {
  return has(name) ? all(name).back() : otherwise;
}

Status Options::integer(const std::string &name, int64_t low, int64_t high, int64_t &out) const {
  if (!has(name))
    return Status();
  int64_t value;
  if (!parseInteger(get(name), value) || value < low || value > high)
    return wrong(format("--%s: expected a whole number from %lld to %lld, found \"%s\"", name.c_str(), (long long)low,
                        (long long)high, get(name).c_str()));
  out = value;
  return Status();
}

Status Options::number(const std::string &name, double low, double high, double &out) const {
  if (!has(name))
    return Status();
  char *end;
  std::string text = get(name);
  double value = strtod(text.c_str(), &end);
  if (text.empty() || *end || !(value >= low && value <= high))
    return wrong(format("--%s: expected a number from %g to %g, found \"%s\"", name.c_str(), low, high, text.c_str()));
  out = value;
  return Status();
}

Status Options::list(const std::string &name, std::vector<int64_t> &out) const {
  std::string text = get(name);
  for (size_t begin = 0; has(name) && begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    int64_t value;
    if (!parseInteger(text.substr(begin, end - begin), value) || value < 0)
      return wrong("--" + name + ": expected whole numbers with commas between them, found \"" +
                   text.substr(begin, end - begin) + "\"");
    out.push_back(value);
    begin = end + 1;
  }
  return Status();
}

void printHelp(const CommandSpec &command) {
  printf("moe-run %s %s\n\n%s\n\noptions:\n", command.name, command.usage, command.summary);
  for (const auto *list : {&command.options, &kCommon})
    for (const OptionSpec &option : *list) {
      std::string left = std::string("--") + option.name + (*option.value ? std::string(" ") + option.value : "");
      printf("  %-26s %s\n", left.c_str(), option.help);
    }
  printf("\nexit code: 0 done, 1 the check failed, 2 wrong use or bad input\n");
}
} // namespace moe
