// What the engine uses of a DSP48E2, for simulation alone; synthesis has the vendor's.
`ifdef VERILATOR
module DSP48E2 #(
    parameter USE_MULT = "MULTIPLY",
    parameter AREG = 1, parameter ACASCREG = 1, parameter BREG = 1, parameter BCASCREG = 1,
    parameter MREG = 1, parameter PREG = 1, parameter OPMODEREG = 1,
    parameter CREG = 0, parameter DREG = 0, parameter ADREG = 0, parameter ALUMODEREG = 0, parameter INMODEREG = 0,
    parameter CARRYINREG = 0, parameter CARRYINSELREG = 0
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
    output wire [47:0] P, output wire [47:0] PCOUT
);
    reg signed [26:0] a1, a2;
    reg signed [17:0] b1, b2;
    reg signed [44:0] product;
    reg [8:0] mode;
    reg [47:0] sum;
    wire [47:0] addend = mode[6:4] == 3'b001 ? PCIN : mode[6:4] == 3'b010 ? sum : 48'd0;
    always @(posedge CLK) begin
        if (CEA1) a1 <= A[26:0];
        if (CEA2) a2 <= AREG == 2 ? a1 : A[26:0];
        if (CEB1) b1 <= B;
        if (CEB2) b2 <= BREG == 2 ? b1 : B;
        if (CEM) product <= a2 * b2;
        if (CECTRL) mode <= OPMODE;
        if (CEP) sum <= {{3{product[44]}}, product} + addend;
    end
    assign P = sum;
    assign PCOUT = sum;
endmodule
`endif
