#include "broker/claims.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

protocol::Event an_order() {
  protocol::Event event;
  event.source = "/shop";
  event.type = "order.placed";
  event.data = "{}";
  return event;
}

std::unique_ptr<const Claims> claims_by(const protocol::Event& event, std::string_view key = {}) {
  const std::string packed = protocol::pack(event);
  return claims_of(*protocol::view_event(packed), key);
}

TEST(Claims, AreMadeOnlyByWhatTheCallerNames) {
  EXPECT_FALSE(claims_by(an_order()));
  protocol::Event event = an_order();
  event.id = "1";
  EXPECT_TRUE(claims_by(event)->id);
  EXPECT_FALSE(claims_by(event)->key);
  EXPECT_TRUE(claims_by(event, "k")->key);
}

TEST(Claims, TellSourcesApartWhereverTheirNamesEnd) {
  protocol::Event one = an_order(), other = an_order();
  one.source = "/shop";
  one.id = "7/x";
  other.source = "/shop7";
  other.id = "/x";
  EXPECT_NE(claims_by(one)->id, claims_by(other)->id);
  other = one;
  other.type = "order.changed";
  EXPECT_EQ(claims_by(one)->id, claims_by(other)->id) << "an id is its source's, whatever it says";
}

TEST(Claims, OfAKeyStandForOnePayload) {
  const auto key = [](const protocol::Event& event) { return claims_by(event, "k")->key; };
  const auto payload = [](const protocol::Event& event) { return claims_by(event, "k")->payload; };
  const protocol::Event first = an_order();
  protocol::Event again = first;
  again.id = "9";
  again.time = "2026-11-28T06:00:00Z";
  EXPECT_EQ(payload(first), payload(again)) << "an attempt to publish it again";
  for (auto member : {&protocol::Event::source, &protocol::Event::type, &protocol::Event::subject,
                      &protocol::Event::content_type, &protocol::Event::data}) {
    protocol::Event other = first;
    other.*member += "x";
    EXPECT_EQ(key(first), key(other));
    EXPECT_NE(payload(first), payload(other));
  }
}

TEST(Claims, AreNotTheSameForAnIdAndAKey) {
  protocol::Event event = an_order();
  event.source = "a";
  event.id = "b";
  EXPECT_NE(claims_by(event, "ab")->id, claims_by(event, "ab")->key);
}

TEST(Claimed, ComesBackAsItWasPacked) {
  Claimed claimed{{{1'700'000'000'001, 3}, 200}, std::nullopt, nullptr};
  for (const auto& route : std::vector<std::vector<std::string>>{{}, {"resize"}, {"a", "b-c"}}) {
    claimed.route = std::make_shared<const std::vector<std::string>>(route);
    for (const bool has_payload : {false, true}) {
      claimed.payload.reset();
      if (has_payload) claimed.payload = PayloadHash{1, 2, 3};
      const auto back = unpack_claimed(pack(claimed));
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_EQ(back->event, claimed.event);
      EXPECT_EQ(back->payload, claimed.payload);
      EXPECT_EQ(*back->route, route);
    }
  }
}

TEST(Claimed, IsRefusedWhenItIsCutAnywhere) {
  const Claimed claimed{
      {{1, 2}, 3},
      PayloadHash{7},
      std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"resize"})};
  const std::string packed = pack(claimed);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const bool without_route = size == packed.size() - 7;
    EXPECT_EQ(unpack_claimed(packed.substr(0, size)).has_value(), without_route) << size;
  }
}

}  // namespace
}  // namespace fanfare::broker
