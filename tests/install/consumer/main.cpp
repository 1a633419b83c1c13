#include <iostream>
#include <noyau/noyau.hpp>
namespace ny = noyau;

int main() {
  ny::Array x = ny::linspace(-5, 5, 1'000'001);  // nothing runs until a value is read
  auto area = [&](const ny::Array& width) { return mean(exp(-square(x / width))) * 10; };
  auto [value, slope] = ny::value_and_grad(area, ny::full({}, 1.0));
  std::cout << "area " << value << ", its derivative " << slope << '\n';
}
