// Tokenizer.h - byte-level BPE as tokenizer.json describes it: text to token ids and back.
#ifndef MOE_RUN_TOKENIZER_H
#define MOE_RUN_TOKENIZER_H

#include "Regex.h"
#include "base/Json.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace moe {

class Tokenizer {
public:
  /// Reads a tokenizer.json. Anything that would change the tokens and is not known here is an error: another model
  /// than BPE, a normalizer other than NFC, a pre-tokenizer other than ByteLevel, Digits, Split and Sequences of them,
  /// an unknown post-processor.
  static Status load(const std::string &path, Tokenizer &out);
  static Status parse(const std::string &name, std::string_view json, Tokenizer &out);

  /// |addSpecial|: also what the post-processor puts around a text (a token that begins it, for example).
  /// MOE_OUT_OF_RANGE if a pattern of the tokenizer takes too long on the text.
  Status encode(std::string_view text, std::vector<int64_t> &out, bool addSpecial = true) const;
  /// Text of the ids without special tokens; malformed UTF-8 becomes U+FFFD. Unknown ids give nothing.
  std::string decode(const std::vector<int64_t> &ids) const;

  int64_t size() const { return int64_t(tokens_.size()); }

private:
  friend class TokenizerReader;
  friend class TokenStream;
  struct AddedToken {
    std::u32string content;
    int64_t id = 0;
    bool special = false, normalized = false, stripLeft = false, stripRight = false, wholeWord = false;
  };
  struct Splitter {
    enum Kind { ByteLevel, Pattern, Digits } kind;
    enum Behaviour { Isolated, Removed, WithPrevious, WithNext, Contiguous } behaviour = Isolated;
    bool prefixSpace = false, useRegex = true, invert = false, individual = false;
    Regex regex;
  };
  struct Merge {
    int32_t rank, id;
  };
  struct Section { // of a text: an added token, or text between them
    std::u32string text;
    int64_t token = -1;
  };

  void splitAdded(const std::vector<Section> &in, bool normalized, std::vector<Section> &out) const;
  Status encodeText(const std::u32string &text, std::vector<int64_t> &out) const;
  /// Appends the parts of |piece|.
  Status split(const Splitter &splitter, const std::u32string &piece, std::vector<std::u32string> &parts) const;
  void encodePiece(const std::u32string &piece, std::vector<int64_t> &out) const;
  /// The bytes a token stands for; false for special and unknown ids.
  bool bytesOf(int64_t id, std::string &out) const;

  std::vector<std::string> tokens_; // by id
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::vector<AddedToken> added_;
  std::unordered_map<int64_t, size_t> addedById_;
  std::vector<Splitter> splitters_;
  bool composes_ = false, ignoreMerges_ = false;
  int64_t unknown_ = -1;
  std::vector<int64_t> before_, after_; // around a text
};

/// Turns ids into text one by one; the bytes of a character that is not complete yet are held back.
class TokenStream {
public:
  explicit TokenStream(const Tokenizer &tokenizer) : tokenizer_(tokenizer) {}
  std::string add(int64_t id);
  /// What is left, malformed.
  std::string finish();

private:
  const Tokenizer &tokenizer_;
  std::string held_;
};

} // namespace moe
#endif // MOE_RUN_TOKENIZER_H
