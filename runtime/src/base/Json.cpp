// Json.cpp - see Json.h.
#include "base/Json.h"
#include "base/Utf8.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unordered_set>

namespace moe {

class JsonParser {
public:
  explicit JsonParser(std::string_view text) : text(text) {}

  Status parse(Json &out) {
    if (!parseValue(out, 0))
      return error;
    skipSpace();
    if (at != text.size())
      fail("the end of the text");
    return error;
  }

private:
  static constexpr int kMaxDepth = 64;

  bool fail(const char *expected) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < text.size(); ++i)
      text[i] == '\n' ? (++line, column = 1) : ++column;
    unsigned char byte = at < text.size() ? (unsigned char)text[at] : 0;
    std::string found = at >= text.size()         ? "the end of the text"
                        : byte < 32 || byte > 126 ? format("byte 0x%02x", byte)
                                                  : format("'%c'", byte);
    error = Status(MOE_BAD_ARTEFACT,
                   format("line %zu, column %zu: expected %s, found %s", line, column, expected, found.c_str()));
    return false;
  }
  void skipSpace() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
      ++at;
  }
  bool take(std::string_view word) {
    if (text.substr(at, word.size()) != word)
      return false;
    at += word.size();
    return true;
  }

  bool parseValue(Json &out, int depth) {
    skipSpace();
    if (depth > kMaxDepth)
      return fail("at most 64 levels of nesting");
    if (at >= text.size())
      return fail("a value");
    switch (text[at]) {
    case '{':
      return parseObject(out, depth);
    case '[':
      return parseArray(out, depth);
    case '"':
      out.kind_ = Json::String;
      return parseString(out.string_);
    case 't':
      out.kind_ = Json::Bool, out.integer_ = 1;
      return take("true") || fail("a value");
    case 'f':
      out.kind_ = Json::Bool;
      return take("false") || fail("a value");
    case 'n':
      return take("null") || fail("a value");
    default:
      return parseNumber(out);
    }
  }

  bool parseObject(Json &out, int depth) {
    out.kind_ = Json::Object;
    ++at, skipSpace();
    if (take("}"))
      return true;
    std::unordered_set<std::string> seen;
    while (true) {
      skipSpace();
      if (at >= text.size() || text[at] != '"')
        return fail("a key in quotation marks");
      size_t begin = at;
      auto &member = out.object_.emplace_back();
      if (!parseString(member.first))
        return false;
      if (!seen.insert(member.first).second) {
        at = begin;
        return fail("a key that was not given before");
      }
      skipSpace();
      if (!take(":"))
        return fail("':'");
      if (!parseValue(out.object_.back().second, depth + 1))
        return false;
      skipSpace();
      if (take("}"))
        return true;
      if (!take(","))
        return fail("',' or '}'");
    }
  }

  bool parseArray(Json &out, int depth) {
    out.kind_ = Json::Array;
    ++at, skipSpace();
    if (take("]"))
      return true;
    while (true) {
      if (!parseValue(out.array_.emplace_back(), depth + 1))
        return false;
      skipSpace();
      if (take("]"))
        return true;
      if (!take(","))
        return fail("',' or ']'");
    }
  }

  bool parseHex(unsigned &code) {
    code = 0;
    for (int i = 0; i < 4; ++i, ++at) {
      char c = at < text.size() ? text[at] : ' ';
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
      if (digit < 0)
        return fail("four hexadecimal digits");
      code = code * 16 + unsigned(digit);
    }
    return true;
  }

  bool parseString(std::string &out) {
    ++at;
    while (true) {
      size_t begin = at;
      while (at < text.size() && text[at] != '"' && text[at] != '\\' && (unsigned char)text[at] >= 32)
        ++at;
      out.append(text.substr(begin, at - begin));
      if (at >= text.size() || (unsigned char)text[at] < 32)
        return fail("the string's end");
      if (text[at++] == '"')
        return true;
      char escape = at < text.size() ? text[at] : '\0';
      static constexpr char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
      if (const char *found = escape ? strchr(kFrom, escape) : nullptr) {
        out += kTo[found - kFrom], ++at;
        continue;
      }
      if (escape != 'u')
        return fail("an escape");
      unsigned code, low;
      ++at;
      if (!parseHex(code))
        return false;
      if (code >= 0xdc00 && code < 0xe000)
        return fail("a high surrogate before a low one");
      if (code >= 0xd800 && code < 0xdc00) {
        if (!take("\\u"))
          return fail("a low surrogate");
        if (!parseHex(low))
          return false;
        if (low < 0xdc00 || low >= 0xe000)
          return fail("a low surrogate");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      }
      appendUtf8(out, code);
    }
  }

  bool digits() {
    size_t first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9')
      ++at;
    return at != first || fail("a digit");
  }

  bool parseNumber(Json &out) {
    size_t begin = at;
    bool whole = true;
    take("-");
    if (at >= text.size() || text[at] < '0' || text[at] > '9')
      return fail("a value");
    if (!take("0") && !digits())
      return false;
    if (take(".")) {
      whole = false;
      if (!digits())
        return false;
    }
    if (take("e") || take("E")) {
      whole = false;
      if (!take("+"))
        take("-");
      if (!digits())
        return false;
    }
    std::string number(text.substr(begin, at - begin));
    errno = 0;
    if (whole) {
      out.integer_ = strtoll(number.c_str(), nullptr, 10);
      if (errno == 0) {
        out.kind_ = Json::Integer;
        return true;
      }
    }
    out.kind_ = Json::Number;
    out.number_ = strtod(number.c_str(), nullptr);
    return true;
  }

  std::string_view text;
  size_t at = 0;
  Status error;
};

Status Json::parse(std::string_view text, Json &out) {
  out = Json();
  return JsonParser(text).parse(out);
}

const Json *Json::find(std::string_view key) const {
  for (auto &member : object_)
    if (member.first == key)
      return &member.second;
  return nullptr;
}

std::string Json::describe() const {
  switch (kind_) {
  case Null:
    return "null";
  case Bool:
    return integer_ ? "true" : "false";
  case Integer:
    return std::to_string(integer_);
  case Number:
    return format("%g", number_);
  case String:
    return "\"" + (string_.size() > 60 ? string_.substr(0, 57) + "..." : string_) + "\"";
  case Array:
    return format("an array of %zu", array_.size());
  case Object:
    return format("an object of %zu members", object_.size());
  }
  return "nothing";
}

// Every value but the first of an array or object follows a comma; a key's value follows the colon.
void JsonWriter::separate() {
  if (text_.empty() || text_.back() == '{' || text_.back() == '[')
    return;
  text_ += text_.back() == ':' ? " " : ", ";
}
JsonWriter &JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  return *this;
}
JsonWriter &JsonWriter::close(char bracket) {
  text_ += bracket;
  return *this;
}
void JsonWriter::quote(std::string_view text) {
  text_ += '"';
  for (char c : text) {
    if (c == '"' || c == '\\')
      text_ += '\\', text_ += c;
    else if ((unsigned char)c < 32)
      text_ += c == '\n' ? std::string("\\n") : c == '\t' ? std::string("\\t") : format("\\u%04x", (unsigned char)c);
    else
      text_ += c;
  }
  text_ += '"';
}
JsonWriter &JsonWriter::key(std::string_view name) {
  separate();
  quote(name);
  text_ += ':';
  return *this;
}
JsonWriter &JsonWriter::value(std::string_view text) {
  separate();
  quote(text);
  return *this;
}
JsonWriter &JsonWriter::value(double number) {
  if (!std::isfinite(number))
    return null();
  separate();
  for (int digits : {6, 9, 12, 15, 17}) { // the shortest of a few that reads back the same
    std::string text = format("%.*g", digits, number);
    if (digits == 17 || strtod(text.c_str(), nullptr) == number) {
      text_ += text;
      break;
    }
  }
  return *this;
}
JsonWriter &JsonWriter::value(int64_t number) {
  separate();
  text_ += std::to_string(number);
  return *this;
}
JsonWriter &JsonWriter::value(bool flag) {
  separate();
  text_ += flag ? "true" : "false";
  return *this;
}
JsonWriter &JsonWriter::null() {
  separate();
  text_ += "null";
  return *this;
}
} // namespace moe
