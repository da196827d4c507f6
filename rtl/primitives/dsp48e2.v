// A DSP48E2 of UltraScale+ for simulation alone; synthesis has the vendor's.
//
// Ref: AMD UG579, "UltraScale Architecture DSP Slice", chapters on the DSP48E2 slice, its attributes and its ports: the registers
// of every input, and what OPMODE, ALUMODE, INMODE and CARRYINSEL choose. What is not here: the logic unit, SIMD, the pattern
// detector, and carries between DSPs; a circuit that asks for them stops the simulation, or lacks a port.
`ifdef VERILATOR
module DSP48E2 #(
    parameter integer AREG = 1, parameter integer ACASCREG = 1, parameter integer BREG = 1, parameter integer BCASCREG = 1,
    parameter integer CREG = 1, parameter integer DREG = 1, parameter integer ADREG = 1, parameter integer MREG = 1,
    parameter integer PREG = 1, parameter integer OPMODEREG = 1, parameter integer ALUMODEREG = 1, parameter integer INMODEREG = 1,
    parameter integer CARRYINREG = 1, parameter integer CARRYINSELREG = 1,
    parameter USE_MULT = "MULTIPLY", parameter A_INPUT = "DIRECT", parameter B_INPUT = "DIRECT",
    parameter AMULTSEL = "A", parameter BMULTSEL = "B", parameter PREADDINSEL = "A",
    parameter [47:0] RND = 48'h0,
    parameter USE_SIMD = "ONE48", parameter USE_PATTERN_DETECT = "NO_PATDET", parameter AUTORESET_PATDET = "NO_RESET",
    parameter USE_WIDEXOR = "FALSE",
    parameter [3:0] IS_ALUMODE_INVERTED = 4'b0, parameter [0:0] IS_CARRYIN_INVERTED = 1'b0, parameter [0:0] IS_CLK_INVERTED = 1'b0,
    parameter [4:0] IS_INMODE_INVERTED = 5'b0, parameter [8:0] IS_OPMODE_INVERTED = 9'b0,
    parameter [0:0] IS_RSTALLCARRYIN_INVERTED = 1'b0, parameter [0:0] IS_RSTALUMODE_INVERTED = 1'b0,
    parameter [0:0] IS_RSTA_INVERTED = 1'b0, parameter [0:0] IS_RSTB_INVERTED = 1'b0, parameter [0:0] IS_RSTCTRL_INVERTED = 1'b0,
    parameter [0:0] IS_RSTC_INVERTED = 1'b0, parameter [0:0] IS_RSTD_INVERTED = 1'b0, parameter [0:0] IS_RSTINMODE_INVERTED = 1'b0,
    parameter [0:0] IS_RSTM_INVERTED = 1'b0, parameter [0:0] IS_RSTP_INVERTED = 1'b0
) (
    input wire CLK,
    input wire [29:0] A, input wire [17:0] B, input wire [47:0] C, input wire [26:0] D,
    input wire [8:0] OPMODE, input wire [3:0] ALUMODE, input wire [4:0] INMODE,
    input wire CARRYIN, input wire [2:0] CARRYINSEL,
    input wire [29:0] ACIN, input wire [17:0] BCIN, input wire CARRYCASCIN, input wire MULTSIGNIN,
    input wire CEA1, input wire CEA2, input wire CEB1, input wire CEB2, input wire CEM, input wire CEP, input wire CECTRL,
    input wire CEAD, input wire CEALUMODE, input wire CEC, input wire CECARRYIN, input wire CED, input wire CEINMODE,
    input wire RSTA, input wire RSTALLCARRYIN, input wire RSTALUMODE, input wire RSTB, input wire RSTC, input wire RSTCTRL,
    input wire RSTD, input wire RSTINMODE, input wire RSTM, input wire RSTP,
    input wire [47:0] PCIN,
    output wire [29:0] ACOUT, output wire [17:0] BCOUT,
    output wire [47:0] P, output wire [47:0] PCOUT
);
    // Most pins of an instance are constants, which fold away inside the module around it.
    /*verilator inline_module*/
    initial begin
        if (USE_SIMD != "ONE48") $fatal(1, "DSP48E2 USE_SIMD must be ONE48, not %s", USE_SIMD);
        if (USE_PATTERN_DETECT != "NO_PATDET")
            $fatal(1, "DSP48E2 USE_PATTERN_DETECT must be NO_PATDET, not %s", USE_PATTERN_DETECT);
        if (AUTORESET_PATDET != "NO_RESET") $fatal(1, "DSP48E2 AUTORESET_PATDET must be NO_RESET, not %s", AUTORESET_PATDET);
        if (USE_WIDEXOR != "FALSE") $fatal(1, "DSP48E2 USE_WIDEXOR must be FALSE, not %s", USE_WIDEXOR);
    end

    wire clk = CLK ^ IS_CLK_INVERTED;

    // Two registers deep, A and B go through both; one deep, each of the two takes the operand itself.
    wire [29:0] a = A_INPUT == "DIRECT" ? A : ACIN;
    wire [17:0] b = B_INPUT == "DIRECT" ? B : BCIN;
    wire [29:0] a1, a2;
    wire [17:0] b1, b2;
    dsp48e2_register #(.WIDTH(30), .DEPTH(AREG == 0 ? 0 : 1)) a1_register (clk, RSTA ^ IS_RSTA_INVERTED, CEA1, a, a1);
    dsp48e2_register #(.WIDTH(30), .DEPTH(AREG == 0 ? 0 : 1)) a2_register (
        clk, RSTA ^ IS_RSTA_INVERTED, CEA2, AREG == 2 ? a1 : a, a2);
    dsp48e2_register #(.WIDTH(18), .DEPTH(BREG == 0 ? 0 : 1)) b1_register (clk, RSTB ^ IS_RSTB_INVERTED, CEB1, b, b1);
    dsp48e2_register #(.WIDTH(18), .DEPTH(BREG == 0 ? 0 : 1)) b2_register (
        clk, RSTB ^ IS_RSTB_INVERTED, CEB2, BREG == 2 ? b1 : b, b2);
    assign ACOUT = AREG == 2 && ACASCREG == 1 ? a1 : a2;
    assign BCOUT = BREG == 2 && BCASCREG == 1 ? b1 : b2;

    wire [47:0] c;
    wire [26:0] d;
    wire [8:0] opmode;
    wire [3:0] alumode;
    wire [4:0] inmode;
    wire [2:0] carryinsel;
    wire carryin;
    dsp48e2_register #(.WIDTH(48), .DEPTH(CREG)) c_register (clk, RSTC ^ IS_RSTC_INVERTED, CEC, C, c);
    dsp48e2_register #(.WIDTH(27), .DEPTH(DREG)) d_register (clk, RSTD ^ IS_RSTD_INVERTED, CED, D, d);
    dsp48e2_register #(.WIDTH(9), .DEPTH(OPMODEREG)) opmode_register (
        clk, RSTCTRL ^ IS_RSTCTRL_INVERTED, CECTRL, OPMODE ^ IS_OPMODE_INVERTED, opmode);
    dsp48e2_register #(.WIDTH(4), .DEPTH(ALUMODEREG)) alumode_register (
        clk, RSTALUMODE ^ IS_RSTALUMODE_INVERTED, CEALUMODE, ALUMODE ^ IS_ALUMODE_INVERTED, alumode);
    dsp48e2_register #(.WIDTH(5), .DEPTH(INMODEREG)) inmode_register (
        clk, RSTINMODE ^ IS_RSTINMODE_INVERTED, CEINMODE, INMODE ^ IS_INMODE_INVERTED, inmode);
    dsp48e2_register #(.WIDTH(3), .DEPTH(CARRYINSELREG)) carryinsel_register (
        clk, RSTCTRL ^ IS_RSTCTRL_INVERTED, CECTRL, CARRYINSEL, carryinsel);
    dsp48e2_register #(.WIDTH(1), .DEPTH(CARRYINREG)) carryin_register (
        clk, RSTALLCARRYIN ^ IS_RSTALLCARRYIN_INVERTED, CECARRYIN, CARRYIN ^ IS_CARRYIN_INVERTED, carryin);

    // The pre-adder, and the operands of the multiplier.
    wire [29:0] a_chosen = inmode[0] ? a1 : a2;
    wire [17:0] b_chosen = inmode[4] ? b1 : b2;
    wire signed [26:0] a_factor = inmode[1] && PREADDINSEL == "A" ? 27'd0 : a_chosen[26:0];
    wire signed [17:0] b_factor = inmode[1] && PREADDINSEL == "B" ? 18'd0 : b_chosen;
    wire [26:0] d_addend = inmode[2] ? d : 27'd0;
    wire [26:0] operand = PREADDINSEL == "A" ? a_factor : {{9{b_factor[17]}}, b_factor};
    wire signed [26:0] added;
    dsp48e2_register #(.WIDTH(27), .DEPTH(ADREG)) ad_register (
        clk, RSTD ^ IS_RSTD_INVERTED, CEAD, inmode[3] ? d_addend - operand : d_addend + operand, added);
    wire signed [26:0] wide = AMULTSEL == "A" ? a_factor : added;
    wire signed [17:0] narrow = BMULTSEL == "B" ? b_factor : added[17:0];
    wire signed [44:0] product = USE_MULT == "NONE" ? 45'sd0 : wide * narrow;
    wire signed [44:0] m;
    dsp48e2_register #(.WIDTH(45), .DEPTH(MREG)) m_register (clk, RSTM ^ IS_RSTM_INVERTED, CEM, product, m);

    // The four operands of the adder. The multiplier gives X and Y two partial products, here their sum and zero.
    wire [47:0] fed_back;
    reg [47:0] w, x, y, z;
    reg cin;
    always @(*) begin
        case (opmode[8:7])
            2'b00: w = 48'd0;
            2'b01: w = fed_back;
            2'b10: w = RND;
            2'b11: w = c;
        endcase
        case (opmode[6:4])
            3'b001: z = PCIN;
            3'b010, 3'b100: z = fed_back;
            3'b011: z = c;
            3'b101: z = {{17{PCIN[47]}}, PCIN[47:17]};
            3'b110: z = {{17{fed_back[47]}}, fed_back[47:17]};
            default: z = 48'd0;
        endcase
        case (opmode[3:2])
            2'b00, 2'b01: y = 48'd0;
            2'b10: y = {48{1'b1}};
            2'b11: y = c;
        endcase
        case (opmode[1:0])
            2'b00: x = 48'd0;
            2'b01: x = {{3{m[44]}}, m};
            2'b10: x = fed_back;
            2'b11: x = {a2, b2};
        endcase
        case (carryinsel)
            3'b001: cin = ~PCIN[47];
            3'b011: cin = PCIN[47];
            3'b101: cin = ~fed_back[47];
            3'b111: cin = fed_back[47];
            default: cin = carryin;
        endcase
    end

    // ALUMODE 0: Z + (W + X + Y + CIN); 1: -Z + (W + X + Y + CIN) - 1; 2: -Z - W - X - Y - CIN - 1; 3: Z - (W + X + Y + CIN).
    wire [47:0] total = (alumode[0] ? ~z : z) + w + x + y + {47'd0, cin};
    wire [47:0] result = alumode[1] ? ~total : total;
    dsp48e2_register #(.WIDTH(48), .DEPTH(PREG)) p_register (clk, RSTP ^ IS_RSTP_INVERTED, CEP, result, P);
    assign PCOUT = P;
    generate
        if (PREG == 0) begin : none
            assign fed_back = 48'd0;
        end else begin : own
            assign fed_back = P;
        end
    endgenerate

    // What UG579 does not allow, and what this model does not have.
    wire reads_p = opmode[8:7] == 2'b01 || opmode[6:4] == 3'b010 || opmode[6:4] == 3'b100 || opmode[6:4] == 3'b110
        || opmode[1:0] == 2'b10 || carryinsel == 3'b101 || carryinsel == 3'b111;
    always @(posedge clk) begin
        if ((opmode[1:0] == 2'b01) != (opmode[3:2] == 2'b01))
            $fatal(1, "DSP48E2 OPMODE must have 01 in both bits 1-0 and 3-2, or neither");
        if (opmode[6:4] == 3'b111) $fatal(1, "DSP48E2 OPMODE bits 6-4 must not be 111");
        if (opmode[6:4] == 3'b100 && opmode[3:0] != 4'b1000)
            $fatal(1, "DSP48E2 OPMODE bits 3-0 must be 1000 where bits 6-4 are 100");
        if (PREG == 0 && reads_p) $fatal(1, "DSP48E2 PREG must be 1 where OPMODE or CARRYINSEL uses P");
        if (alumode[3:2] != 2'b00) $fatal(1, "DSP48E2 ALUMODE must be one of the sums, 0 to 3, not %0d", alumode);
        if (carryinsel == 3'b010 || carryinsel == 3'b100 || carryinsel == 3'b110)
            $fatal(1, "DSP48E2 CARRYINSEL must be odd or 0, not %0d: the model has no carries between DSPs", carryinsel);
    end
endmodule

// A register, with the reset before the enable, or a wire where DEPTH is zero.
module dsp48e2_register #(parameter integer WIDTH = 1, parameter integer DEPTH = 1) (
    input wire clk, input wire reset, input wire enable, input wire [WIDTH-1:0] d, output wire [WIDTH-1:0] q
);
    generate
        if (DEPTH == 0) begin : wired
            assign q = d;
        end else begin : clocked
            reg [WIDTH-1:0] kept;
            initial kept = {WIDTH{1'b0}};
            always @(posedge clk)
                if (reset) kept <= {WIDTH{1'b0}};
                else if (enable) kept <= d;
            assign q = kept;
        end
    endgenerate
endmodule
`endif
