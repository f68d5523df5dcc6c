// TokenizerReader.cpp - reads tokenizer.json into a Tokenizer. What would change the tokens and is not known is an
// error.
#include "Tokenizer.h"
#include "Unicode.h"
#include "base/File.h"

#include <algorithm>

namespace moe {

// The split of GPT-2, which ByteLevel uses unless it is told not to.
static constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class TokenizerReader {
public:
  TokenizerReader(const std::string &name, Tokenizer &out) : name(name), out(out) {}

  Status read(const Json &root) {
    if (!root.isObject())
      return wrong("", "an object", &root);
    const Json *model = root.find("model");
    if (!model || !model->isObject())
      return wrong("model", "an object", model);
    MOE_RETURN_IF_ERROR(readModel(*model));
    MOE_RETURN_IF_ERROR(readAdded(root.find("added_tokens")));
    MOE_RETURN_IF_ERROR(readNormalizer(root.find("normalizer")));
    MOE_RETURN_IF_ERROR(readSplitter("pre_tokenizer", root.find("pre_tokenizer")));
    if (std::none_of(out.splitters_.begin(), out.splitters_.end(),
                     [](const Tokenizer::Splitter &s) { return s.kind == Tokenizer::Splitter::ByteLevel; }))
      return Status(MOE_UNSUPPORTED,
                    name + ": pre_tokenizer: expected byte-level BPE (a ByteLevel pre-tokenizer), found none");
    return readPostProcessor("post_processor", root.find("post_processor"));
  }

private:
  Status wrong(const std::string &where, const std::string &expected, const Json *found) {
    return Status(MOE_INVALID_ARGUMENT, name + (where.empty() ? "" : ": " + where) + ": expected " + expected +
                                            ", found " + (found ? found->describe() : "nothing"));
  }
  Status unsupported(const std::string &where, const std::string &known, const Json *found) {
    return Status(MOE_UNSUPPORTED,
                  name + ": " + where + ": expected " + known + ", found " + (found ? found->describe() : "nothing"));
  }
  static std::string text(const Json &object, const char *key) {
    const Json *member = object.find(key);
    return member && member->isString() ? member->string() : "";
  }
  static bool flag(const Json &object, const char *key, bool otherwise) {
    const Json *member = object.find(key);
    return member && member->isBool() ? member->boolean() : otherwise;
  }
  static bool given(const Json &object, const char *key) {
    const Json *member = object.find(key);
    return member && !member->isNull() && !(member->isString() && member->string().empty());
  }
  /// Names are kept in a list by id: one huge id must not make it huge.
  static bool validId(const Json &json) {
    return json.isInteger() && json.integer() >= 0 && json.integer() < (1 << 22);
  }

  void setToken(int64_t id, const std::string &token) {
    if (size_t(id) >= out.tokens_.size())
      out.tokens_.resize(size_t(id) + 1);
    out.tokens_[size_t(id)] = token;
  }

  Status readModel(const Json &model) {
    const Json *type = model.find("type"), *vocab = model.find("vocab"), *merges = model.find("merges");
    if (type && (!type->isString() || type->string() != "BPE"))
      return unsupported("model.type", "\"BPE\"", type);
    for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (given(model, key))
        return unsupported(std::string("model.") + key, "null (byte-level BPE)", model.find(key));
    if (flag(model, "byte_fallback", false))
      return unsupported("model.byte_fallback", "false (byte-level BPE)", model.find("byte_fallback"));
    if (!vocab || !vocab->isObject() || vocab->object().empty())
      return wrong("model.vocab", "an object of tokens and ids", vocab);
    out.ids_.reserve(vocab->object().size());
    for (const auto &[token, id] : vocab->object()) {
      if (!validId(id))
        return wrong("model.vocab: id of \"" + token + "\"", "a whole number from 0 to 4194303", &id);
      out.ids_[token] = int32_t(id.integer());
      setToken(id.integer(), token);
    }
    out.ignoreMerges_ = flag(model, "ignore_merges", false);
    if (given(model, "unk_token")) {
      auto found = out.ids_.find(text(model, "unk_token"));
      if (found != out.ids_.end())
        out.unknown_ = found->second;
    }
    if (!merges || !merges->isArray())
      return wrong("model.merges", "an array", merges);
    out.merges_.reserve(merges->array().size());
    int32_t rank = 0;
    for (const Json &merge : merges->array()) {
      std::string left, right;
      if (merge.isString()) { // "left right"
        size_t space = merge.string().find(' ');
        left = merge.string().substr(0, space);
        right = space == std::string::npos ? "" : merge.string().substr(space + 1);
      } else if (merge.array().size() == 2 && merge.array()[0].isString() && merge.array()[1].isString()) {
        left = merge.array()[0].string(), right = merge.array()[1].string();
      }
      auto a = out.ids_.find(left), b = out.ids_.find(right), joined = out.ids_.find(left + right);
      if (a == out.ids_.end() || b == out.ids_.end() || joined == out.ids_.end())
        return wrong(format("model.merges[%d]", rank), "two tokens that stand in the vocabulary with their union",
                     &merge);
      out.merges_.insert({uint64_t(uint32_t(a->second)) << 32 | uint32_t(b->second), {rank, joined->second}});
      ++rank;
    }
    return Status();
  }

  Status readAdded(const Json *added) {
    if (!added || added->isNull())
      return Status();
    if (!added->isArray())
      return wrong("added_tokens", "an array", added);
    for (const Json &json : added->array()) {
      const Json *id = json.find("id"), *content = json.find("content");
      if (!id || !validId(*id) || !content || !content->isString())
        return wrong("added_tokens", "objects with an id (at most 4194303) and content", &json);
      Tokenizer::AddedToken token;
      token.content = fromUtf8(content->string()), token.id = id->integer();
      token.special = flag(json, "special", false), token.normalized = flag(json, "normalized", !token.special);
      token.stripLeft = flag(json, "lstrip", false), token.stripRight = flag(json, "rstrip", false),
      token.wholeWord = flag(json, "single_word", false);
      setToken(token.id, content->string());
      out.addedById_[token.id] = out.added_.size();
      out.added_.push_back(std::move(token));
    }
    return Status();
  }

  Status readNormalizer(const Json *json) {
    if (!json || json->isNull())
      return Status();
    std::string type = text(*json, "type");
    if (type == "NFC") {
      out.composes_ = true;
      return Status();
    }
    const Json *list = json->find("normalizers");
    if (type == "Sequence" && list && list->isArray()) {
      for (const Json &part : list->array())
        MOE_RETURN_IF_ERROR(readNormalizer(&part));
      return Status();
    }
    return unsupported("normalizer.type", "NFC or none", json->find("type"));
  }

  Status readSplitter(const std::string &where, const Json *json) {
    if (!json || json->isNull())
      return Status();
    std::string type = text(*json, "type");
    const Json *list = json->find("pretokenizers");
    if (type == "Sequence" && list && list->isArray()) {
      for (size_t i = 0; i < list->array().size(); ++i)
        MOE_RETURN_IF_ERROR(readSplitter(where + format(".pretokenizers[%zu]", i), &list->array()[i]));
      return Status();
    }
    Tokenizer::Splitter splitter;
    if (type == "ByteLevel") {
      splitter.kind = Tokenizer::Splitter::ByteLevel;
      splitter.prefixSpace = flag(*json, "add_prefix_space", true);
      splitter.useRegex = flag(*json, "use_regex", true);
      if (splitter.useRegex)
        MOE_RETURN_IF_ERROR(Regex::compile(kByteLevelPattern, splitter.regex));
    } else if (type == "Digits") {
      splitter.kind = Tokenizer::Splitter::Digits;
      splitter.individual = flag(*json, "individual_digits", false);
    } else if (type == "Split") {
      splitter.kind = Tokenizer::Splitter::Pattern;
      splitter.invert = flag(*json, "invert", false);
      MOE_RETURN_IF_ERROR(readPattern(where, *json, splitter));
    } else {
      return unsupported(where + ".type", "ByteLevel, Digits, Split or Sequence", json->find("type"));
    }
    out.splitters_.push_back(std::move(splitter));
    return Status();
  }

  Status readPattern(const std::string &where, const Json &json, Tokenizer::Splitter &splitter) {
    const Json *pattern = json.find("pattern");
    const Json *regex = pattern ? pattern->find("Regex") : nullptr,
               *literal = pattern ? pattern->find("String") : nullptr;
    std::string source;
    if (regex && regex->isString()) {
      source = regex->string();
    } else if (literal && literal->isString()) {
      for (char c : literal->string()) // only characters that mean something get a backslash
        source += std::string(std::string_view("\\^$.|?*+()[]{}-").find(c) == std::string_view::npos ? "" : "\\") + c;
    } else {
      return wrong(where + ".pattern", "an object with Regex or String", pattern);
    }
    if (Status status = Regex::compile(source, splitter.regex); !status.ok())
      return Status(status.code(), name + ": " + where + ": " + status.message());
    static constexpr std::string_view kBehaviours[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                                       "Contiguous"};
    std::string behaviour = text(json, "behavior");
    for (size_t i = 0; i < std::size(kBehaviours); ++i)
      if (behaviour == kBehaviours[i]) {
        splitter.behaviour = Tokenizer::Splitter::Behaviour(i);
        return Status();
      }
    return wrong(where + ".behavior", "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous",
                 json.find("behavior"));
  }

  Status readPostProcessor(const std::string &where, const Json *json) {
    if (!json || json->isNull())
      return Status();
    std::string type = text(*json, "type");
    const Json *list = json->find("processors");
    if (type == "ByteLevel") // changes offsets only
      return Status();
    if (type == "Sequence" && list && list->isArray()) {
      for (size_t i = 0; i < list->array().size(); ++i)
        MOE_RETURN_IF_ERROR(readPostProcessor(where + format(".processors[%zu]", i), &list->array()[i]));
      return Status();
    }
    const Json *single = json->find("single"), *special = json->find("special_tokens");
    if (type != "TemplateProcessing" || !single || !single->isArray())
      return unsupported(where + ".type", "ByteLevel, TemplateProcessing or Sequence", json->find("type"));
    bool behind = false;
    for (const Json &part : single->array()) {
      if (part.find("Sequence")) {
        behind = true;
        continue;
      }
      const Json *token = part.find("SpecialToken");
      std::string key = token ? text(*token, "id") : "";
      const Json *entry = special ? special->find(key) : nullptr, *ids = entry ? entry->find("ids") : nullptr;
      if (!ids || !ids->isArray())
        return wrong(where + ".special_tokens", "ids of \"" + key + "\"", entry);
      for (const Json &id : ids->array()) {
        if (!validId(id))
          return wrong(where + ".special_tokens: id of \"" + key + "\"", "a whole number from 0 to 4194303", &id);
        (behind ? out.after_ : out.before_).push_back(id.integer());
      }
    }
    return Status();
  }

  const std::string &name;
  Tokenizer &out;
};

Status Tokenizer::parse(const std::string &name, std::string_view json, Tokenizer &out) {
  Json root;
  if (Status status = Json::parse(json, root); !status.ok())
    return Status(MOE_INVALID_ARGUMENT, name + ": " + status.message());
  out = Tokenizer();
  return TokenizerReader(name, out).read(root);
}

Status Tokenizer::load(const std::string &path, Tokenizer &out) {
  std::string text;
  MOE_RETURN_IF_ERROR(readFile(path, text, uint64_t(1) << 30));
  return parse(path, text, out);
}
} // namespace moe
