"""Apple, devices and people in a box: they speak the real wire and know nothing of our services."""
