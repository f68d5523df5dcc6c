// Tokenizer.cpp - encoding and decoding; TokenizerReader.cpp reads tokenizer.json.
//
// text -> sections between added tokens -> pieces by the pre-tokenizers, bytes as characters -> merges inside each
// piece
#include "Tokenizer.h"
#include "Unicode.h"
#include "base/Utf8.h"

#include <algorithm>
#include <queue>

namespace moe {
namespace {

/// GPT-2's map of bytes to printable characters: printable Latin-1 stands for itself, the other 68 bytes follow from
/// U+0100.
struct ByteAlphabet {
  char32_t characters[256];
  int16_t bytes[0x144];
  ByteAlphabet() {
    std::fill(std::begin(bytes), std::end(bytes), int16_t(-1));
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      characters[byte] = printable ? char32_t(byte) : next++;
      bytes[characters[byte]] = int16_t(byte);
    }
  }
};
const ByteAlphabet &byteAlphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

bool isWord(char32_t code) {
  static const uint32_t mask = categoryMask("L") | categoryMask("M") | categoryMask("Nd") | categoryMask("Pc");
  return mask >> categoryOf(code) & 1;
}

/// Appends the complete characters of |bytes|, malformed parts as U+FFFD; keeps an incomplete end unless |all|.
void drainUtf8(std::string &bytes, bool all, std::string &out) {
  size_t at = 0;
  while (at < bytes.size()) {
    int length = utf8Length(bytes, at);
    if (length > 0) {
      out.append(bytes, at, size_t(length));
      at += size_t(length);
    } else if (length == 0 || all) {
      appendUtf8(out, 0xfffd);
      at += utf8MalformedLength(bytes, at);
    } else {
      break;
    }
  }
  bytes.erase(0, at);
}
} // namespace

/// Cuts added tokens out of the sections that are text: the leftmost, of those the longest.
void Tokenizer::splitAdded(const std::vector<Section> &in, bool normalized, std::vector<Section> &out) const {
  for (const Section &section : in) {
    if (section.token >= 0) {
      out.push_back(section);
      continue;
    }
    const std::u32string &text = section.text;
    size_t kept = 0; // text before this is in |out|
    for (size_t at = 0; at < text.size();) {
      const AddedToken *best = nullptr;
      for (const AddedToken &token : added_) {
        size_t length = token.content.size();
        if (token.normalized != normalized || !length || token.content[0] != text[at] ||
            text.compare(at, length, token.content) != 0)
          continue;
        if (!best || length > best->content.size())
          best = &token;
      }
      if (best && best->wholeWord) {
        size_t end = at + best->content.size();
        if ((at > 0 && isWord(text[at - 1])) || (end < text.size() && isWord(text[end])))
          best = nullptr;
      }
      if (!best) {
        ++at;
        continue;
      }
      size_t begin = at, end = at + best->content.size();
      while (best->stripLeft && begin > kept && isSpace(text[begin - 1]))
        --begin;
      while (best->stripRight && end < text.size() && isSpace(text[end]))
        ++end;
      if (begin > kept)
        out.push_back({text.substr(kept, begin - kept), -1});
      out.push_back({{}, best->id});
      kept = at = end;
    }
    if (kept < text.size())
      out.push_back({text.substr(kept), -1});
  }
}

Status Tokenizer::encode(std::string_view text, std::vector<int64_t> &ids, bool addSpecial) const {
  ids.clear();
  if (addSpecial)
    ids = before_;
  std::vector<Section> raw, sections;
  splitAdded({{fromUtf8(text), -1}}, false, raw);
  for (Section &section : raw)
    if (composes_ && section.token < 0)
      section.text = composeCanonically(section.text);
  splitAdded(raw, true, sections);
  for (const Section &section : sections) {
    if (section.token >= 0)
      ids.push_back(section.token);
    else
      MOE_RETURN_IF_ERROR(encodeText(section.text, ids));
  }
  if (addSpecial)
    ids.insert(ids.end(), after_.begin(), after_.end());
  return Status();
}

Status Tokenizer::encodeText(const std::u32string &text, std::vector<int64_t> &out) const {
  std::vector<std::u32string> pieces = {text};
  for (const Splitter &splitter : splitters_) {
    std::vector<std::u32string> finer;
    for (const std::u32string &piece : pieces)
      MOE_RETURN_IF_ERROR(split(splitter, piece, finer));
    pieces = std::move(finer);
  }
  for (const std::u32string &piece : pieces)
    encodePiece(piece, out);
  return Status();
}

Status Tokenizer::split(const Splitter &splitter, const std::u32string &given,
                        std::vector<std::u32string> &parts) const {
  size_t first = parts.size();
  std::u32string piece =
      splitter.kind == Splitter::ByteLevel && splitter.prefixSpace && (given.empty() || given[0] != U' ') ? U" " + given
                                                                                                          : given;
  // Stretches of the piece, matching or not, in order.
  struct Stretch {
    size_t begin, end;
    bool matches;
  };
  std::vector<Stretch> stretches;
  auto addStretch = [&](size_t begin, size_t end, bool matches) {
    if (end > begin)
      stretches.push_back({begin, end, matches != splitter.invert});
  };
  if (splitter.kind == Splitter::Digits) {
    static const uint32_t numbers = categoryMask("N");
    for (size_t at = 0; at < piece.size(); ++at) {
      bool digit = numbers >> categoryOf(piece[at]) & 1;
      bool joins = !stretches.empty() && stretches.back().matches == digit && !(digit && splitter.individual);
      if (joins)
        ++stretches.back().end;
      else
        addStretch(at, at + 1, digit);
    }
  } else if (splitter.kind == Splitter::ByteLevel && !splitter.useRegex) {
    addStretch(0, piece.size(), false);
  } else {
    size_t at = 0, begin, end;
    for (bool found = true;;) {
      MOE_RETURN_IF_ERROR(splitter.regex.find(piece, at, found, begin, end));
      if (!found)
        break;
      addStretch(at, begin, false);
      addStretch(begin, end, true);
      at = end;
    }
    addStretch(at, piece.size(), false);
  }
  bool joinNext = false, lastMatched = false;
  for (const Stretch &stretch : stretches) {
    std::u32string part = piece.substr(stretch.begin, stretch.end - stretch.begin);
    bool join = false;
    switch (splitter.behaviour) {
    case Splitter::Isolated:
      break;
    case Splitter::Removed:
      if (stretch.matches)
        continue;
      break;
    case Splitter::Contiguous:
      join = parts.size() > first && lastMatched == stretch.matches;
      break;
    case Splitter::WithPrevious:
      join = stretch.matches && parts.size() > first && !lastMatched;
      break;
    case Splitter::WithNext:
      join = joinNext && !stretch.matches;
      break;
    }
    if (join)
      parts.back() += part;
    else
      parts.push_back(std::move(part));
    lastMatched = stretch.matches;
    joinNext = stretch.matches;
  }
  if (splitter.kind == Splitter::ByteLevel)
    for (size_t i = first; i < parts.size(); ++i) {
      std::u32string mapped;
      for (char byte : toUtf8(parts[i]))
        mapped += byteAlphabet().characters[(unsigned char)byte];
      parts[i] = std::move(mapped);
    }
  return Status();
}

/// Joins the pair of lowest rank, the leftmost of equals, until none can be joined.
void Tokenizer::encodePiece(const std::u32string &piece, std::vector<int64_t> &out) const {
  if (ignoreMerges_)
    if (auto whole = ids_.find(toUtf8(piece)); whole != ids_.end()) {
      out.push_back(whole->second);
      return;
    }
  struct Symbol {
    int32_t id, previous, next;
  };
  std::vector<Symbol> symbols;
  for (char32_t code : piece) {
    std::string character;
    appendUtf8(character, code);
    auto found = ids_.find(character);
    int64_t id = found != ids_.end() ? found->second : unknown_;
    if (id >= 0) {
      int32_t index = int32_t(symbols.size());
      symbols.push_back({int32_t(id), index - 1, index + 1});
    }
  }
  if (symbols.empty())
    return;
  symbols.back().next = -1;
  struct Candidate {
    int32_t rank, left, leftId, rightId, id;
    bool operator<(const Candidate &other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  std::priority_queue<Candidate> queue;
  auto offer = [&](int32_t left) {
    if (left < 0 || symbols[size_t(left)].next < 0)
      return;
    int32_t a = symbols[size_t(left)].id, b = symbols[size_t(symbols[size_t(left)].next)].id;
    auto found = merges_.find(uint64_t(uint32_t(a)) << 32 | uint32_t(b));
    if (found != merges_.end())
      queue.push({found->second.rank, left, a, b, found->second.id});
  };
  for (int32_t i = 0; i < int32_t(symbols.size()); ++i)
    offer(i);
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Symbol &left = symbols[size_t(best.left)];
    if (left.id != best.leftId || left.next < 0 || symbols[size_t(left.next)].id != best.rightId)
      continue; // joined otherwise since
    Symbol &right = symbols[size_t(left.next)];
    left.id = best.id, left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      symbols[size_t(left.next)].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
  for (int32_t i = 0; i >= 0; i = symbols[size_t(i)].next)
    out.push_back(symbols[size_t(i)].id);
}

bool Tokenizer::bytesOf(int64_t id, std::string &out) const {
  if (id < 0 || id >= size())
    return false;
  if (auto found = addedById_.find(id); found != addedById_.end()) {
    if (!added_[found->second].special)
      out += toUtf8(added_[found->second].content);
    return !added_[found->second].special;
  }
  const ByteAlphabet &alphabet = byteAlphabet();
  for (char32_t code : fromUtf8(tokens_[size_t(id)])) {
    if (code < std::size(alphabet.bytes) && alphabet.bytes[code] >= 0)
      out += char(alphabet.bytes[code]);
    else
      appendUtf8(out, code);
  }
  return true;
}

std::string Tokenizer::decode(const std::vector<int64_t> &ids) const {
  TokenStream stream(*this);
  std::string text;
  for (int64_t id : ids)
    text += stream.add(id);
  return text + stream.finish();
}

std::string TokenStream::add(int64_t id) {
  std::string out;
  if (tokenizer_.bytesOf(id, held_))
    drainUtf8(held_, false, out);
  return out;
}
std::string TokenStream::finish() {
  std::string out;
  drainUtf8(held_, true, out);
  return out;
}
} // namespace moe
