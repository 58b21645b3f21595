"""What the server of the workers imports first: libraries load faster without the cyclic collector.

It would walk through all that has been loaded, again and again. The workers turn it on once they are forked.
"""

import gc

gc.disable()
