#include "protocol/event.h"

#include <gtest/gtest.h>

#include <map>
#include <msgpack.hpp>
#include <random>
#include <sstream>

#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

using namespace std::string_literals;

std::string packed_map(const auto& map) {
  std::stringstream out;
  msgpack::pack(out, map);
  return out.str();
}

std::string error_of(const Event& event) {
  const auto view = view_event(pack(event));
  return view ? "" : view.error().message;
}

TEST(Event, ComesBackAsItWasPacked) {
  for (const Event& event : {samples::minimal_event(), samples::full_event()}) {
    const auto unpacked = unpack_event(pack(event));
    ASSERT_TRUE(unpacked) << unpacked.error().message;
    EXPECT_EQ(*unpacked, event);
  }
}

TEST(Event, ComesBackWhateverItsDataAre) {
  std::mt19937 random{11};
  for (int i = 0; i < 2000; ++i) {
    Event event = random() % 2 ? samples::full_event() : samples::minimal_event();
    event.data.resize(random() % 500);
    for (char& c : event.data) c = static_cast<char>(random());
    if (random() % 2) event.options.tenant.clear();
    if (random() % 2) event.options.deliver_at.reset();
    if (random() % 2) event.subject = std::string(random() % 2048, 's');
    const auto unpacked = unpack_event(pack(event));
    ASSERT_TRUE(unpacked) << unpacked.error().message;
    EXPECT_EQ(*unpacked, event);
  }
}

TEST(Event, IsReadInPlace) {
  const std::string packed = pack(samples::full_event());
  const auto view = view_event(packed);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->type, "form.submitted");
  EXPECT_EQ(view->data, samples::full_event().data);
  EXPECT_GE(view->data.data(), packed.data());
  EXPECT_EQ(*unpack_options(view->packed_options), samples::full_event().options);
  EXPECT_EQ(view_extensions(*view).size(), 2u);
}

TEST(Event, IsAppendedToWhatStandsAlready) {
  std::string out = "before";
  pack_into(out, samples::full_event());
  EXPECT_EQ(out, "before" + pack(samples::full_event()));
}

TEST(Event, IsRefusedWhenItEndsEarlyOrLate) {
  const std::string packed = pack(samples::full_event());
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(view_event(std::string_view{packed}.substr(0, size))) << size;
  }
  EXPECT_FALSE(view_event(packed + '\0'));
}

TEST(Event, NeedsSourceAndType) {
  Event event = samples::minimal_event();
  event.source.clear();
  EXPECT_EQ(error_of(event), "event: source is missing");
  event = samples::minimal_event();
  event.type.clear();
  EXPECT_NE(error_of(event).find("type is missing"), std::string::npos);
}

TEST(Event, RefusesAttributesThatAreNotUtf8) {
  for (auto member : {&Event::source, &Event::type, &Event::subject, &Event::id, &Event::time,
                      &Event::content_type, &Event::data_schema}) {
    for (const std::string& bad :
         {"\xFF"s, "ab\xC3"s, "\xC0\x80"s, "\xED\xA0\x80"s, "12345678\x80"s}) {
      Event event = samples::full_event();
      event.*member = bad;
      EXPECT_NE(error_of(event).find("not UTF-8"), std::string::npos);
    }
  }
}

TEST(Event, BoundsItsAttributes) {
  Event event = samples::minimal_event();
  event.subject = std::string(2048, 's');
  event.source = std::string(2048, 's');
  event.type = std::string(1024, 't');
  EXPECT_EQ(error_of(event), "");
  event.subject += 's';
  EXPECT_EQ(error_of(event), "event: subject has 2049 bytes; 2048 at most");
  event = samples::minimal_event();
  event.type = std::string(1025, 't');
  EXPECT_EQ(error_of(event), "event: type has 1025 bytes; 1024 at most");
}

// The first one that is wrong, of whatever stands before and behind it.
TEST(Event, SaysWhichAttributeIsWrong) {
  const auto error_with = [](auto change) {
    Event event = samples::full_event();
    change(event);
    return error_of(event);
  };
  EXPECT_EQ(error_with([](Event& e) { e.content_type = "\xFF"; }),
            "event: datacontenttype is not UTF-8");
  EXPECT_EQ(error_with([](Event& e) { e.time = e.id = "\xFF"; }), "event: id is not UTF-8");
  EXPECT_EQ(error_with([](Event& e) { e.data_schema = std::string(2049, 'x'); }),
            "event: dataschema has 2049 bytes; 2048 at most");
  EXPECT_EQ(error_with([](Event& e) { e.extensions = {{"a", "1"}, {"b", "\xFF"}}; }),
            "event: extension 'b' is not UTF-8");
  EXPECT_EQ(error_with([](Event& e) { e.extensions = {{"Zone\xFF", "1"}}; }),
            "event: extension 'Zone\uFFFD': extension names are 1 to 20 of a-z and 0-9, and not "
            "those of other attributes");
  EXPECT_EQ(error_with([](Event& e) { e.extensions = {{"a", "1"}, {"a", "1"}}; }),
            "event: extension 'a' is there twice");
}

TEST(Event, BoundsItsExtensions) {
  Event event = samples::minimal_event();
  for (int i = 0; i < 64; ++i) event.extensions.emplace_back("x" + std::to_string(i), "v");
  EXPECT_EQ(error_of(event), "");
  event.extensions.emplace_back("x64", "v");
  EXPECT_NE(error_of(event).find("more than 64 extensions"), std::string::npos);
  for (const std::string& name :
       {""s, "Upper"s, "with-dash"s, std::string(21, 'a'), "type"s, "data"s}) {
    event = samples::minimal_event();
    event.extensions = {{name, "v"}};
    EXPECT_NE(error_of(event).find("extension names"), std::string::npos) << name;
  }
  event.extensions = {{"a", "1"}, {"a", "2"}};
  EXPECT_NE(error_of(event).find("twice"), std::string::npos);
}

TEST(Event, AcceptsFieldsOfALaterVersion) {
  std::string packed = pack(samples::full_event());
  packed[0] = '\x9B';
  EXPECT_TRUE(view_event(packed + "\x91\x01"));
  EXPECT_FALSE(view_event(packed + "\x91\x91\x91\x91\x01")) << "too deep";
  packed[0] = '\x99';
  EXPECT_FALSE(view_event(packed)) << "too few";
}

TEST(Event, RefusesBombs) {
  EXPECT_FALSE(view_event("\xDD\xFF\xFF\xFF\xFF"s));
  std::string chain;
  for (int i = 0; i < 24000; ++i) chain += "\xDC\x00\x0A"s;
  EXPECT_FALSE(view_event(chain));
  // Options that nest too deep, behind source and type.
  std::string deep = "\x9A\xA1s\xA1t\xC0\x81\xA1x"s + std::string(10, '\x91') + "\x01";
  EXPECT_FALSE(view_event(deep));
}

TEST(Options, AreTheDefaultsWhenNoneAreGiven) {
  const auto view = view_event(pack(samples::minimal_event()));
  EXPECT_FALSE(pack(samples::minimal_event()).empty());
  const std::string packed = pack(samples::minimal_event());
  EXPECT_TRUE(view_event(packed)->packed_options.empty());
  EXPECT_EQ(*unpack_options(""), PublishOptions{});
}

TEST(Options, IgnoreKeysTheyDoNotKnow) {
  const auto options =
      unpack_options(packed_map(std::map<std::string, int>{{"colour", 3}, {"priority", 9}}));
  ASSERT_TRUE(options);
  EXPECT_EQ(options->priority, 9);
}

TEST(Options, RefuseValuesOutOfRange) {
  using Numbers = std::map<std::string, int>;
  EXPECT_FALSE(unpack_options(packed_map(Numbers{{"priority", 10}})));
  EXPECT_FALSE(unpack_options(packed_map(Numbers{{"priority", -1}})));
  EXPECT_FALSE(unpack_options(packed_map(Numbers{{"delay", -1}})));
  EXPECT_FALSE(unpack_options(packed_map(Numbers{{"tenant", 1}})));
  EXPECT_FALSE(unpack_options(packed_map(std::map<std::string, std::string>{{"tenant", "\xFF"}})));
  EXPECT_FALSE(unpack_options(packed_map(std::map<std::string, double>{{"delay", 1.5}})));
  const auto wrong = unpack_options(packed_map(Numbers{{"priority", 10}}));
  EXPECT_EQ(wrong.error().message, "event: option priority: integer out of range at byte 11");
}

TEST(EventOptions, MayNameTheFunctionThatGetsIt) {
  Event event;
  event.source = "/s";
  event.type = "t";
  event.options.to = "thumbnail";
  const auto read = unpack_event(pack(event));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->options.to, "thumbnail");
  event.options.to = "no name";
  EXPECT_FALSE(unpack_event(pack(event)));
}

TEST(TenantOf, IsFoundAmongTheOptionsAndNothingElseIsNeeded) {
  Event event;
  event.source = "/s";
  event.type = "t";
  EXPECT_EQ(tenant_of(pack(event)), "");
  event.options.priority = 7;
  event.options.ordering_key = "tenant";
  EXPECT_EQ(tenant_of(pack(event)), "");
  event.options.tenant = "acme";
  event.options.idempotency_key = "k";
  const std::string packed = pack(event);
  EXPECT_EQ(tenant_of(packed), "acme");
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const std::string_view part = tenant_of(std::string_view{packed}.substr(0, size));
    EXPECT_TRUE(part.empty() || part == "acme") << size;
  }
}

}  // namespace
}  // namespace fanfare::protocol
