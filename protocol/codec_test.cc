#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <msgpack.hpp>
#include <random>

#include "protocol/kinds.h"
#include "protocol/messages.h"
#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

using ::testing::HasSubstr;

using namespace std::string_literals;

std::string random_bytes(std::mt19937& random, std::size_t size_max) {
  std::string bytes(random() % (size_max + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// The frame with its array one longer and `extra` behind the known fields.
std::string with_extra_field(std::string frame, const std::string& extra) {
  frame[0] = static_cast<char>(frame[0] + 1);  // all frames are short arrays
  return frame + extra;
}

TEST(Codec, GivesBackEveryMessageAsItWas) {
  for (const auto& [name, message] : samples::messages()) {
    const auto decoded = decode(encode(message));
    ASSERT_TRUE(decoded) << name << ": " << decoded.error().message;
    EXPECT_TRUE(*decoded == message) << name;
  }
}

TEST(Codec, KnowsTheKindOfEveryMessage) {
  for (const auto& [name, message] : samples::messages()) {
    const auto kind =
        std::visit([](const auto& m) { return kKind<std::decay_t<decltype(m)>>.number; }, message);
    EXPECT_GT(kind, 0) << name;
    EXPECT_EQ(peek_kind(encode(message)), kind) << name;
  }
  EXPECT_EQ(peek_kind(""), 0);
  EXPECT_EQ(peek_kind("hello"), 0);
  EXPECT_EQ(peek_kind("\x92\x02\x01"s), 0) << "another version";
}

TEST(Codec, WritesArraysThatTheLibraryReads) {
  for (const auto& [name, message] : samples::messages()) {
    const std::string frame = encode(message);
    const auto handle = msgpack::unpack(frame.data(), frame.size());
    ASSERT_EQ(handle.get().type, msgpack::type::ARRAY) << name;
    EXPECT_EQ(handle.get().via.array.ptr[0].as<int>(), kProtocolVersion) << name;
    EXPECT_EQ(handle.get().via.array.ptr[1].as<int>(), peek_kind(frame)) << name;
  }
}

TEST(Codec, RefusesEveryFrameThatEndsEarly) {
  for (const auto& [name, message] : samples::messages()) {
    const std::string frame = encode(message);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_FALSE(decode(std::string_view{frame}.substr(0, size))) << name << " cut at " << size;
    }
  }
}

TEST(Codec, RefusesBytesBehindAMessage) {
  for (const auto& [name, message] : samples::messages()) {
    EXPECT_FALSE(decode(encode(message) + '\0')) << name;
  }
}

TEST(Codec, SurvivesAnyOneByteChanged) {
  for (const auto& [name, message] : samples::messages()) {
    const std::string frame = encode(message);
    for (std::size_t at = 0; at < frame.size(); ++at) {
      for (const int value : {0x00, 0x7F, 0x90, 0xC0, 0xC1, 0xC6, 0xDB, 0xDD, 0xDF, 0xFF}) {
        std::string changed = frame;
        changed[at] = static_cast<char>(value);
        if (const auto decoded = decode(changed)) {
          EXPECT_TRUE(decode(encode(*decoded))) << name << " byte " << at;
        }
      }
    }
  }
}

TEST(Codec, IgnoresFieldsOfALaterVersion) {
  const std::string extra =
      "\x82\xA1\x61\x93\x01\x02\x03\xA1\x62\xC0";  // {"a": [1, 2, 3], "b": nil}
  for (const auto& [name, message] : samples::messages()) {
    const auto decoded = decode(with_extra_field(encode(message), extra));
    ASSERT_TRUE(decoded) << name << ": " << decoded.error().message;
    EXPECT_TRUE(*decoded == message) << name;
  }
}

TEST(Codec, ReadsAMessageOfAnEarlierVersionWithoutItsLastFields) {
  // A Done of nothing, as it was before it named outboxes; and as a build wrote it that counted one
  // field too few.
  for (const auto& frame : {"\x95\x01\x19\x07\x90\x90"s, "\x94\x01\x19\x07\x90\x90"s}) {
    const auto decoded = decode(frame);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(std::get<Done>(*decoded).number, 7u);
    EXPECT_TRUE(std::get<Done>(*decoded).outboxes.empty());
  }
}

TEST(Codec, IgnoresLaterFieldsInsideRows) {
  // Credit with one row of four fields, the last of them unknown.
  const auto decoded = decode("\x93\x01\x17\x91\x94\xA1\x66\x05\xC3\xA3new"s);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<Credit>(*decoded).rows, (std::vector<Credit::Row>{{"f", 5, true}}));
}

TEST(Codec, NamesBothVersionsWhenThePeerSpeaksAnother) {
  std::string frame = encode(Invoke{77, "f", 1000, "e"});
  frame[1] = 9;
  const auto decoded = decode(frame);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().message, "the peer speaks protocol version 9, this end version 1");
  const Refused refused = refusal_of(frame, decoded.error());
  EXPECT_EQ(refused.code, Refusal::kVersion);
  EXPECT_EQ(refused.request, 77u);
}

TEST(Codec, AnswersAMalformedRequestUnderItsNumber) {
  const std::string frame = "\x96\x01\x03\x4D\x05\x05\xC0"s;  // Invoke 77 with a number for a name
  const auto decoded = decode(frame);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().message, "Invoke: function: expected a string at byte 4");
  const Refused refused = refusal_of(frame, decoded.error());
  EXPECT_EQ(refused.code, Refusal::kMalformed);
  EXPECT_EQ(refused.request, 77u);
  EXPECT_EQ(refusal_of("\xC1", decoded.error()).request, 0u);
}

TEST(Codec, FindsTheNumberByWhichAnAnswerIsFoundInEachKind) {
  for (const auto& [name, message] : samples::messages()) {
    const std::uint64_t wanted = std::visit(
        [](const auto& m) -> std::uint64_t {
          if constexpr (requires { m.request; }) return m.request;
          return 0;
        },
        message);
    const auto* const batch = std::get_if<Publish>(&message);
    EXPECT_EQ(request_of(encode(message)), batch ? batch->sequence : wanted) << name;
  }
  EXPECT_EQ(request_of("junk"), 0u);
  EXPECT_EQ(request_of(""), 0u);
}

TEST(Codec, RefusesBombs) {
  std::string chain = "\x93\x01\x1D"s;  // Reset with one field more, nested 24,000 deep
  for (int i = 0; i < 24000; ++i) chain += "\xDC\x00\x01"s;
  const std::string bombs[] = {
      "\xDD\xFF\xFF\xFF\xFF"s,                              // an array of four billion
      "\x96\x01\x01\xA1\x61\x01\xC2\xDD\xFF\xFF\xFF\xFF"s,  // Publish of as many events
      "\x94\x01\x18\xA1\x66\xDD\x00\x01\x00\x00"s,          // Deliver of 65,536 and no bytes
      "\x93\x01\x1D\xDF\xFF\xFF\xFF\xFF"s,                  // a map of four billion
      chain,
  };
  for (const std::string& bomb : bombs) EXPECT_FALSE(decode(bomb));
}

TEST(Codec, RefusesFramesOverTheLimit) {
  EXPECT_FALSE(decode(std::string(kMessageBytesMax + 1, '\x92')));
}

TEST(Codec, RefusesUnknownKindsAndValues) {
  EXPECT_FALSE(decode("\x92\x01\x63"s));
  EXPECT_FALSE(decode("\x92\x01\x00"s));
  std::string refused = encode(Refused{1, Refusal::kInternal, "x"});
  refused[4] = 0x7f;  // behind the array, version, kind and request
  const auto decoded = decode(refused);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("code: unknown value"), std::string::npos);
}

TEST(Codec, RefusesNamesThatAreNotText) {
  EXPECT_FALSE(decode(encode(Invoke{1, "f\xFF", 1000, "e"})));
}

TEST(Codec, RefusesCommittedDeliveriesThatAreCutShort) {
  Done done;
  done.committed.push_back({"f", {1, 2}, {}});
  done.committed[0].add(3, {0x1001});
  EXPECT_TRUE(decode(encode(done)));
  done.committed[0].packed.pop_back();
  const auto decoded = decode(encode(done));
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("5 bytes"), std::string::npos) << decoded.error().message;
}

TEST(Codec, TellsCommittedDeliveriesAsRowsToo) {
  Done done;
  done.rows.push_back({.function = "g", .id = {{1, 2}, 9}, .outcome = Outcome::kDrained});
  done.committed.push_back({"f", {1, 2}, {}});
  done.committed[0].add(200, {0x80000001});
  const auto rows = done.all_rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].function, "g");
  EXPECT_EQ(rows[1].id, (EventId{{1, 2}, 200}));
  EXPECT_EQ(rows[1].token.value, 0x80000001u);
  EXPECT_EQ(rows[1].outcome, Outcome::kOk);
}

TEST(Codec, MendsWhatUsersCodeSays) {
  Done done;
  done.rows.push_back({.function = "f", .outcome = Outcome::kFunctionError});
  done.rows[0].failure = {"Bad\xFFType", std::string(3000, 'm'), true, {}};
  done.rows[0].log_tail = "\xFF\xFE";
  const auto decoded = decode(encode(done));
  ASSERT_TRUE(decoded) << decoded.error().message;
  const Done::Row& row = std::get<Done>(*decoded).rows[0];
  EXPECT_EQ(row.failure.type, "Bad\xEF\xBF\xBDType");
  EXPECT_EQ(row.failure.message, std::string(1024, 'm'));
  EXPECT_EQ(row.log_tail, "\xFF\xFE");
}

TEST(Codec, ReadsAPublishInPlace) {
  std::mt19937 random{3};
  for (int i = 0; i < 500; ++i) {
    Publish publish{"c0ffee", random(), random() % 2 == 0, {}};
    for (std::size_t n = random() % 20; n > 0; --n) {
      publish.packed_events.push_back(random_bytes(random, 300));
    }
    const std::string frame = encode(publish);
    const auto view = view_publish(frame);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->client, publish.client);
    EXPECT_EQ(view->sequence, publish.sequence);
    EXPECT_EQ(view->repeat, publish.repeat);
    ASSERT_EQ(view->packed_events.size(), publish.packed_events.size());
    for (std::size_t n = 0; n < publish.packed_events.size(); ++n) {
      EXPECT_EQ(view->packed_events[n], publish.packed_events[n]);
      EXPECT_GE(view->packed_events[n].data(), frame.data());
      EXPECT_LE(view->packed_events[n].data(), frame.data() + frame.size());
    }
  }
  EXPECT_FALSE(view_publish(encode(Reset{})));
}

TEST(Codec, RefusesPublishersWhoseNameCannotBeAKey) {
  EXPECT_FALSE(view_publish(encode(Publish{"", 1, false, {}})));
  EXPECT_FALSE(view_publish(encode(Publish{"a:b", 1, false, {}})));
  EXPECT_FALSE(view_publish(encode(Publish{std::string(65, 'a'), 1, false, {}})));
  EXPECT_TRUE(view_publish(encode(Publish{std::string(64, 'a'), 1, false, {}})));
}

TEST(Codec, RefusesAHelloThatNobodyCouldKeepOrShow) {
  Hello good;
  good.name = "web-3";
  EXPECT_TRUE(decode(encode(good)));
  const auto refused = [&good](auto change) {
    Hello hello = good;
    change(hello);
    const auto read = decode(encode(hello));
    return read ? std::string{} : read.error().message;
  };
  EXPECT_THAT(refused([](Hello& m) { m.name.clear(); }), HasSubstr("Hello.name"));
  EXPECT_THAT(refused([](Hello& m) { m.name = "a\nb"; }), HasSubstr("Hello.name"));
  EXPECT_THAT(refused([](Hello& m) { m.name.assign(1 << 20, 'n'); }), HasSubstr("Hello.name"));
  EXPECT_THAT(refused([](Hello& m) { m.host.assign(256, 'h'); }), HasSubstr("Hello.host"));
  EXPECT_THAT(refused([](Hello& m) { m.version.assign(256, '1'); }), HasSubstr("Hello.version"));
  EXPECT_THAT(refused([](Hello& m) { m.prepares.assign(65, "native"); }), HasSubstr("Hello.prep"));
}

TEST(Codec, NamesRefusalsAsUsersSeeThem) {
  EXPECT_EQ(to_string(Refusal::kTooLarge), "too_large");
  EXPECT_EQ(to_string(Refusal::kQueueFull), "queue_full");
  EXPECT_EQ(to_string(Refusal::kInternal), "internal");
}

}  // namespace
}  // namespace fanfare::protocol
