#include "protocol/deliver_view.h"

#include <gtest/gtest.h>

#include <random>

#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

Delivery random_delivery(std::mt19937_64& random) {
  Delivery delivery;
  delivery.id = {{random() >> (random() % 64), random() >> (random() % 64)},
                 static_cast<std::uint8_t>(random())};
  delivery.slot = static_cast<std::uint8_t>(random());
  delivery.entry_size = static_cast<std::uint16_t>(1 + random() % 256);
  delivery.lane = {static_cast<std::uint16_t>(random() % 170)};
  delivery.origin = static_cast<Origin>(random() % 4);
  delivery.token = {static_cast<std::uint32_t>(random())};
  delivery.attempt = static_cast<std::uint32_t>(random() % 20);
  delivery.accepted_ms = static_cast<std::int64_t>(random());
  delivery.packed_ledger = std::string(random() % 100, 'l');
  delivery.packed_event = std::string(random() % 1000, 'e');
  return delivery;
}

DeliveryView view_of(const Delivery& d) {
  return {d.id,    d.slot,    d.entry_size,  d.lane,          d.origin,
          d.token, d.attempt, d.accepted_ms, d.packed_ledger, d.packed_event};
}

TEST(DeliverView, ReadsWhatEncodeWrote) {
  std::mt19937_64 random{5};
  for (int i = 0; i < 300; ++i) {
    Deliver deliver{"resize", {}};
    for (std::size_t n = random() % 40; n > 0; --n) {
      deliver.deliveries.push_back(random_delivery(random));
    }
    const std::string frame = encode(deliver);
    const auto view = view_deliver(frame);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->function, "resize");
    ASSERT_EQ(view->deliveries.size(), deliver.deliveries.size());
    for (std::size_t n = 0; n < deliver.deliveries.size(); ++n) {
      EXPECT_EQ(view->deliveries[n], view_of(deliver.deliveries[n]));
    }
  }
}

TEST(DeliverView, RefusesEveryFrameThatEndsEarly) {
  const std::string frame = encode(Deliver{"f", {Delivery{}, Delivery{}}});
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(view_deliver(std::string_view{frame}.substr(0, size)));
  }
  EXPECT_FALSE(view_deliver(encode(Reset{})));
}

TEST(DeliverWriter, WritesWhatDecodeReads) {
  std::mt19937_64 random{6};
  for (const std::size_t count : {0u, 1u, 15u, 16u, 300u, 70u}) {
    Deliver deliver{"store-form", {}};
    DeliverWriter writer{deliver.function, 64};
    for (std::size_t n = 0; n < count; ++n) {
      deliver.deliveries.push_back(random_delivery(random));
      writer.add(view_of(deliver.deliveries.back()));
    }
    EXPECT_EQ(writer.count(), count);
    const std::size_t bytes = writer.bytes();
    const std::string frame = writer.take();
    EXPECT_EQ(frame.size(), bytes);
    const auto decoded = decode(frame);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(std::get<Deliver>(*decoded), deliver);
  }
}

}  // namespace
}  // namespace fanfare::protocol
