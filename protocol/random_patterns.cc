#include "protocol/random_patterns.h"

#include <algorithm>

#include "protocol/json_text.h"

namespace fanfare::protocol {

std::string RandomPatterns::pick(std::initializer_list<const char*> from) {
  return *(from.begin() + static_cast<std::ptrdiff_t>(up_to(from.size() - 1)));
}

RandomPatterns::RandomPatterns(std::uint64_t seed) : engine_(seed) {
  for (int i = 0; i < 4; ++i) texts_.push_back(any_text());
  for (int i = 0; i < 2; ++i) numbers_.push_back(any_number());
  for (std::size_t i = 2 + up_to(1); i > 0; --i) keys_.push_back(pick({"a", "b", "c", "d"}));
}

std::string RandomPatterns::key() {
  return one_in(6) ? pick({"a", "b", "c", "d"}) : keys_[up_to(keys_.size() - 1)];
}

std::string RandomPatterns::text() {
  return one_in(5) ? any_text() : texts_[up_to(texts_.size() - 1)];
}

std::string RandomPatterns::number() {
  return one_in(5) ? any_number() : numbers_[up_to(numbers_.size() - 1)];
}

std::string RandomPatterns::any_text() {
  return pick({"a",
               "ab",
               "abc",
               "abcabc",
               "AB",
               "b",
               "ba",
               "cab",
               "",
               "ä",
               "Ä",
               "äÄa",
               "ΣΑΣ",
               "σας",
               "😀",
               "a b",
               "a\"b",
               "a\\b",
               "a*b",
               "*",
               "10.0.0.1",
               "10.0.0.200",
               "10.0.1.1",
               "::1",
               "2001:db8::5",
               "a long text of which many bytes are the same",
               "a long text of which many bytes are the Same"});
}

std::string RandomPatterns::quoted() {
  std::string json;
  append_json_string(json, text());
  return json;
}

std::string RandomPatterns::any_number() {
  return pick({"0", "-0", "0.0", "1", "1.0", "1e0", "2", "2.5", "25e-1", "-5", "300", "3.0e2",
               "9007199254740993", "9007199254740992", "18446744073709551615",
               "-9223372036854775808", "1e300"});
}

std::string RandomPatterns::anything_but(bool of_attribute) {
  const auto list = [&](auto one) {
    if (one_in(2)) return one();
    std::string all = "[" + one();
    for (std::size_t more = up_to(2); more > 0; --more) all += "," + one();
    return all + "]";
  };
  const auto any_case = [&] { return quoted(); };
  switch (up_to(of_attribute ? 4 : 6)) {
    case 0:
      return R"({"prefix":)" + list([&] { return quoted(); }) + "}";
    case 1:
      return R"({"suffix":)" + list([&] { return quoted(); }) + "}";
    case 2:
      return R"({"equals-ignore-case":)" + list(any_case) + "}";
    case 3:
      return R"({"wildcard":)" + list([&] { return pick({R"("a*")", R"("*b*")", R"("*")"}); }) +
             "}";
    case 4:
      return list([&] { return quoted(); });
    case 5:
      return list([&] { return number(); });
    default:
      return list([&] { return one_in(2) ? quoted() : pick({"true", "null", "1", "false"}); });
  }
}

std::string RandomPatterns::alternative(bool of_attribute) {
  const auto affix = [&] {
    return one_in(2) ? quoted() : R"({"equals-ignore-case":)" + quoted() + "}";
  };
  if (one_in(3)) return of_attribute || one_in(2) ? quoted() : number();
  switch (up_to(of_attribute ? 8 : 13)) {
    case 0:
      return quoted();
    case 1:
      return R"({"exists":true})";
    case 2:
      return R"({"prefix":)" + affix() + "}";
    case 3:
      return R"({"suffix":)" + affix() + "}";
    case 4:
      return R"({"equals-ignore-case":)" + quoted() + "}";
    case 5:
      return R"({"wildcard":)" +
             pick({R"("a*")", R"("*b")", R"("a*b")", R"("*")", R"("*b*")", R"("*bca*")",
                   R"("*text*many*")", R"("a*b*c")", R"("ab")", R"("*\\**")", R"("a\\\\*")",
                   R"("*ä*")", R"("ab*abc")", R"("*ab*")", R"("*abca*")"}) +
             "}";
    case 6:
      return R"({"cidr":)" +
             pick({R"("10.0.0.0/24")", R"("10.0.0.0/8")", R"("10.0.0.1")", R"("10.0.0.77/25")",
                   R"("0.0.0.0/0")", R"("::/0")", R"("2001:db8::/33")"}) +
             "}";
    case 7:
      return one_in(2) ? R"({"exists":true})" : R"({"exists":false})";
    case 8:
      return R"({"anything-but":)" + anything_but(of_attribute) + "}";
    case 9:
      return number();
    case 10:
      return pick({"true", "false", "null"});
    default:
      return R"({"numeric":)" +
             pick({R"([">",0])", R"([">=",0,"<",2.5])", R"(["=",3e2])", R"(["<",-4])",
                   R"([">",1,"<=",9007199254740992])", R"([">=",1,"<=",1])", R"(["<=",1e0])",
                   R"([">",-6,"<",1])"}) +
             "}";
  }
}

std::string RandomPatterns::alternatives(bool of_attribute) {
  std::string all = "[" + alternative(of_attribute);
  const std::size_t more = one_in(40) ? 12 : one_in(3) ? up_to(3) : 0;
  for (std::size_t i = 0; i < more; ++i) all += "," + alternative(of_attribute);
  return all + "]";
}

std::string RandomPatterns::field_of_data(std::size_t depth) {
  const std::string name = one_in(6) ? key() + "." + key() : key();
  if (depth < 3 && one_in(2)) return '"' + name + R"(":)" + fields(depth + 1);
  return '"' + name + R"(":)" + alternatives(false);
}

// An object of fields of data.
std::string RandomPatterns::fields(std::size_t depth) {
  std::string all;
  const std::size_t count = 1 + up_to(2);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) all += ',';
    if (one_in(12)) {
      all += R"("$or":[)" + fields(depth) + "," + fields(depth) + "]";
    } else {
      all += field_of_data(depth);
    }
  }
  return "{" + all + "}";
}

std::string RandomPatterns::one_attribute() {
  return '"' + pick({"type", "type", "type", "source", "subject", "id", "region", "zone"}) +
         R"(":)" + alternatives(true);
}

std::string RandomPatterns::pattern() {
  std::string all;
  if (one_in(2)) all += one_attribute() + ",";
  if (one_in(6)) all += one_attribute() + ",";
  if (one_in(8)) {
    all += R"("$or":[{)" + one_attribute() + R"(},{"data":)" + fields(0) + "}],";
  }
  // Not within "$or" as well: two tests of one attribute would have to hold for the same value.
  if (one_in(5)) all += R"("attributes":{")" + key() + R"(":)" + alternatives(false) + "},";
  if (one_in(12)) {
    all += R"("data":)" + alternatives(false) + ",";
  } else if (all.empty() || !one_in(4)) {
    all += R"("data":)" + fields(0) + ",";
  }
  all.back() = '}';
  return "{" + all;
}

// Objects of one array, as a rule with the same keys.
std::string RandomPatterns::rows(std::size_t depth) {
  std::string all = object(depth);
  for (std::size_t i = 1 + up_to(2); i > 0; --i) all += "," + object(depth);
  return one_in(8) ? "[[" + all + "],[]]" : "[" + all + "]";
}

std::string RandomPatterns::value(std::size_t depth) {
  if (depth < 3 && one_in(4)) return rows(depth + 1);
  if (depth < 4 && one_in(4)) return object(depth + 1);
  if (depth < 5 && one_in(3)) {
    std::string all;
    for (std::size_t i = up_to(3); i > 0; --i) all += (all.empty() ? "" : ",") + value(depth + 1);
    return "[" + all + "]";
  }
  switch (up_to(6)) {
    case 0:
    case 1:
      return number();
    case 2:
      return pick({"true", "false", "null"});
    default:
      return quoted();
  }
}

std::string RandomPatterns::object(std::size_t depth) {
  std::string all;
  for (const char* name : {"a", "b", "c", "x", "d"}) {
    const bool preferred = std::ranges::find(keys_, name) != keys_.end();
    if (one_in(preferred ? 6 : 2)) continue;
    if (!all.empty()) all += one_in(5) ? " ,\n" : ",";
    // Now and then a key that is there twice, or written in another way.
    const std::string written = one_in(30) ? R"(\u0061)" : one_in(40) ? "a" : name;
    all += '"' + written + R"(":)" + value(depth);
  }
  return "{" + all + "}";
}

Event RandomPatterns::event() {
  Event event;
  event.type = text() + (one_in(2) ? "" : "x");
  if (event.type.empty()) event.type = "a";
  event.source = one_in(2) ? "ab" : "10.0.0.1";
  if (one_in(2)) event.subject = text();
  if (one_in(3)) event.id = text();
  if (one_in(2)) event.extensions.emplace_back("region", text());
  if (one_in(4)) event.extensions.emplace_back("zone", text());
  if (one_in(2)) event.extensions.emplace_back("attributes", one_in(6) ? text() : object(4));
  event.data = one_in(20) ? "no JSON" : one_in(8) ? value(0) : one_in(6) ? rows(0) : object(0);
  if (one_in(10)) event.content_type = pick({"application/json", "text/plain"});
  return event;
}

}  // namespace fanfare::protocol
