"""A device model that speaks SCPI: subclass it, declare commands, and it is an IEEE 488.2 instrument.

```python
class Attenuator(ScpiModel):
    \"\"\"One channel, 0 to 60 dB.\"\"\"

    dialect = Dialect(error_format='{code:+d},"{text}"')
    wire_ends = ("tcp", "hislip", "visa", "pty", "emu")
    FAULTS = ("stuck",)

    def reset(self) -> None:                              # *RST, and before the first command
        self.attenuation = 0.0

    def identity(self) -> str:                            # *IDN?
        return f"TOKAIDO,VOA-1,{self.serial_number},1.0"

    @command("INPut#:ATTenuation", 1)                     # one parameter
    def set_attenuation(self, p: Parameters) -> None:
        p.suffix(0, 1, 1)                                 # INP1, INP; else -114
        self.attenuation = p.number(0, 0.0, 60.0)         # else -104, -222
        if "stuck" in self.provoked:
            raise ScpiError(-240, "motor")
        self.begin_operation(25_000_000)                  # *OPC, *OPC? and *WAI wait 25 ms

    @command("INPut#:ATTenuation?")
    def ask_attenuation(self, p: Parameters) -> str:      # what is returned is the reply
        return f"{self.attenuation:.2f}"
```

IEEE 488.2-1992; SCPI-99 volumes 1 and 2. Left out: *PRE?, macros, block data, units after numbers, NTR/PTR filters.
"""

from __future__ import annotations

from tokaido.emulators.scpi._core import ScpiCore
from tokaido.emulators.scpi._status import OPC, Dialect, Register, ScpiError
from tokaido.emulators.scpi._syntax import Parameters, command, parse_channels, short

__all__ = ["Dialect", "Parameters", "ScpiError", "ScpiModel", "command", "parse_channels", "short"]


class ScpiModel(ScpiCore):
    """The SCPI core of an instrument with one stream port, `control`: what the module's example declares is enough.

    A subclass with parameters of its own sets what `reset` needs before it calls `__init__` of this class.

    Args:
        serial_number: Default: `SERIAL_NUMBER` of the class.
        seed: For what is random.
        secrets: Where secrets come from; it has none.
    """

    # --- IEEE 488.2, chapter 10: the thirteen mandatory common commands ---------------------------------------------

    @command("*CLS")
    def _cls(self, _: Parameters) -> None:
        self.status.clear()
        self._opc_armed = False

    @command("*ESE", 1)
    def _ese(self, p: Parameters) -> None:
        self.status.event_enable = p.whole(0, 0, 255)

    @command("*ESE?")
    def _ask_ese(self, _: Parameters) -> str:
        return str(self.status.event_enable)

    @command("*ESR?")
    def _ask_esr(self, _: Parameters) -> str:
        return str(self.status.read_event())

    @command("*IDN?")
    def _ask_idn(self, _: Parameters) -> str:
        return self.identity()

    @command("*OPC")
    def _opc(self, _: Parameters) -> None:
        if self._busy:
            self._opc_armed = True
        else:
            self.status.event |= OPC

    @command("*OPC?")
    def _ask_opc(self, _: Parameters) -> str:
        return "1"

    @command("*RST")
    def _rst(self, _: Parameters) -> None:
        self._opc_armed = False
        if self.dialect.reset_clears_errors:
            self.status.errors.clear()
        self.reset()

    @command("*SRE", 1)
    def _sre(self, p: Parameters) -> None:
        self.status.service_enable = p.whole(0, 0, 255) & ~64

    @command("*SRE?")
    def _ask_sre(self, _: Parameters) -> str:
        return str(self.status.service_enable)

    @command("*STB?")
    def _ask_stb(self, _: Parameters) -> str:
        return str(self.status_byte(message_available=False))

    @command("*TST?")
    def _ask_tst(self, _: Parameters) -> str:
        return str(self.self_test())

    @command("*WAI")
    def _wai(self, _: Parameters) -> None:
        pass

    # --- SCPI-99 volume 2, chapters 20 and 21 -----------------------------------------------------------------------

    @command("SYSTem:ERRor[:NEXT]?")
    def _ask_error(self, _: Parameters) -> str:
        return self.status.errors.pop()

    @command("SYSTem:ERRor:ALL?")
    def _ask_all_errors(self, _: Parameters) -> str:
        return ",".join([self.status.errors.pop() for _ in range(max(len(self.status.errors), 1))])

    @command("SYSTem:ERRor:COUNt?")
    def _ask_error_count(self, _: Parameters) -> str:
        return str(len(self.status.errors))

    @command("SYSTem:ERRor:CODE[:NEXT]?")
    def _ask_code(self, _: Parameters) -> str:
        return str(self.status.errors.pop_code())

    @command("SYSTem:ERRor:CODE:ALL?")
    def _ask_all_codes(self, _: Parameters) -> str:
        return ",".join([str(self.status.errors.pop_code()) for _ in range(max(len(self.status.errors), 1))])

    @command("SYSTem:VERSion?")
    def _ask_version(self, _: Parameters) -> str:
        return self.dialect.version

    @command("STATus:PRESet")
    def _preset(self, _: Parameters) -> None:
        self.status.preset()

    @command("STATus:OPERation[:EVENt]?")
    def _ask_operation(self, _: Parameters) -> str:
        return str(self.status.operation.read_event())

    @command("STATus:OPERation:CONDition?")
    def _ask_operation_condition(self, _: Parameters) -> str:
        return str(self.status.operation.condition)

    @command("STATus:OPERation:ENABle", 1)
    def _operation_enable(self, p: Parameters) -> None:
        self._enable(self.status.operation, p)

    @command("STATus:OPERation:ENABle?")
    def _ask_operation_enable(self, _: Parameters) -> str:
        return str(self.status.operation.enable)

    @command("STATus:QUEStionable[:EVENt]?")
    def _ask_questionable(self, _: Parameters) -> str:
        return str(self.status.questionable.read_event())

    @command("STATus:QUEStionable:CONDition?")
    def _ask_questionable_condition(self, _: Parameters) -> str:
        return str(self.status.questionable.condition)

    @command("STATus:QUEStionable:ENABle", 1)
    def _questionable_enable(self, p: Parameters) -> None:
        self._enable(self.status.questionable, p)

    @command("STATus:QUEStionable:ENABle?")
    def _ask_questionable_enable(self, _: Parameters) -> str:
        return str(self.status.questionable.enable)

    @staticmethod
    def _enable(register: Register, p: Parameters) -> None:
        register.enable = p.whole(0, 0, 65535) & 0x7FFF
